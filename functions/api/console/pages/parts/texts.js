// Small pieces that several pages share: ids and sentences as hostile text, paths below a tenant.
import { html } from '../../lib/preact.js';
import { Time, logTime } from '../../lib/format.js';

/// The API's path of something below a tenant; every segment is encoded.
export const inTenant = (tenant, ...segments) =>
  ['/v1/tenants', ...[tenant, ...segments].map((segment) => encodeURIComponent(segment))].join('/');

/// An id or a code: left to right in every language.
export const Id = ({ text }) => html`<code class="id" dir="ltr">${text}</code>`;

/// Letters of a URL that a list shows, and how many of its end: hosts are alike, paths tell endpoints apart.
const URL_LETTERS = 38;
const URL_END = 22;

/// A URL in little space: without `https://`, and cut in its middle. The whole one is its title.
export function shortUrl(url, letters = URL_LETTERS) {
  const text = url.replace(/^https?:\/\//, '');
  return text.length <= letters ? text : `${text.slice(0, letters - URL_END - 1)}…${text.slice(-URL_END)}`;
}
export const Url = ({ url }) => html`<bdi class="mono nowrap" dir="ltr" title=${url}>${shortUrl(url)}</bdi>`;

/// Moments as the API writes them within its sentences.
const MOMENT = /(\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

/// A sentence of the server's, its moments apart: every second part is one.
export const momentsIn = (text) => text.split(MOMENT);

/// A sentence of the server's with its moments in the reader's zone, where only text can stand.
export const toldText = (text) => momentsIn(text).map((part, at) => (at % 2 === 1 ? logTime(part) : part)).join('');

/// What the server wrote, in English whatever the console's language is; its moments in the reader's zone.
export const Told = ({ text }) => html`<span lang="en" dir="auto"><bdi>${momentsIn(text ?? '').map((part, at) =>
  (at % 2 === 1 ? html`<${Time} at=${part} mode="log" />` : part))}</bdi></span>`;

/// The fields that are not empty: a body or a query says nothing that it does not mean.
export const filled = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) =>
  value != null && value !== '' && !(Array.isArray(value) && value.length === 0)));
