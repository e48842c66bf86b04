// Requests to the documented API, and nothing else: same origin, JSON, problem details as errors. It never keeps an answer.
import { t, has } from './i18n.js';

/** No answer takes longer: a test of an endpoint waits 30 s for its receiver at most. */
export const TIMEOUT_MS = 60_000;
const MAX_PAGE = 100;

/** A refusal, or no answer at all (`status` 0, `code` `network` or `timeout`). */
export class ApiError extends Error {
  /** @param {{status: number, code: string, detail?: string, field?: string, retryAfter?: number, misfits?: object[]}} problem */
  constructor({ status, code, detail = '', field = null, retryAfter = null, misfits = [] }) {
    super(detail || code);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.field = field;
    /** Seconds to wait, if the server named them. */
    this.retryAfter = retryAfter;
    this.misfits = misfits;
  }

  /** Whether the same request may well succeed later. */
  get temporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** An error answer -> ApiError. The body need not be a problem document: proxies answer too. */
export function problem(status, text, retryAfter = null) {
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    body = null;
  }
  if (body === null || typeof body !== 'object') body = {};
  const seconds = Number.parseInt(retryAfter ?? '', 10);
  return new ApiError({
    status,
    code: typeof body.code === 'string' ? body.code : `http_${status}`,
    detail: typeof body.detail === 'string' ? body.detail : '',
    field: typeof body.field === 'string' ? body.field : null,
    retryAfter: Number.isFinite(seconds) && seconds >= 0 ? seconds : null,
    misfits: Array.isArray(body.misfits) ? body.misfits : [],
  });
}

/** A path segment, safe whatever it holds. */
export const seg = (text) => encodeURIComponent(String(text));

/** `tenantApi('acme', 'endpoints', id)` -> `/v1/tenants/acme/endpoints/<id>`. */
export const tenantApi = (tenant, ...segments) => ['/v1/tenants', seg(tenant), ...segments.map(seg)].join('/');

/** `{a: 1, b: null, c: ['x','y']}` -> `?a=1&c=x%2Cy`. What is empty is left out. */
export function queryString(query = {}) {
  const pairs = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    const text = Array.isArray(value) ? value.join(',') : value;
    if (text !== null && text !== undefined && text !== '') pairs.set(key, String(text));
  }
  const text = pairs.toString();
  return text === '' ? '' : `?${text}`;
}

let token = null;
let onUnauthorized = () => {};

/** The portal's token is sent as Bearer; without one the operator's cookie is. session.js alone calls this. */
export function setToken(text) {
  token = text;
}

/** What to do when the server no longer knows who asks. session.js alone calls this. */
export function setUnauthorized(listener) {
  onUnauthorized = listener;
}

function deadline(signal) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

async function answerOf(url, init) {
  try {
    const response = await fetch(url, init);
    return { response, text: await response.text() };
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError({ status: 0, code: error.name === 'TimeoutError' ? 'timeout' : 'network' });
  }
}

/**
 * One request, with everything of its answer.
 * @param {string} method
 * @param {string} path as `/v1/tenants`
 * @param {{body?: unknown, query?: object, headers?: Record<string, string>, ifMatch?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<{data: any, text: string, etag: string|null, status: number, headers: Headers}>} `text` is the answer as sent,
 *   with the spelling of its numbers; `data` is null if it is empty
 * @throws {ApiError} when refused or unreachable; AbortError when `signal` says so
 */
export async function apiFull(method, path, { body, query, headers = {}, ifMatch, signal } = {}) {
  const sent = { accept: 'application/json', ...headers };
  if (body !== undefined) sent['content-type'] = 'application/json';
  if (ifMatch) sent['if-match'] = ifMatch;
  if (token !== null) sent.authorization = `Bearer ${token}`;
  const { response, text } = await answerOf(path + queryString(query), {
    method,
    headers: sent,
    body: body === undefined ? undefined : JSON.stringify(body),
    // A tab that was opened with a portal link acts as that customer, whoever else is signed in.
    credentials: token === null ? 'same-origin' : 'omit',
    cache: 'no-store',
    redirect: 'error',
    signal: deadline(signal),
  });
  if (!response.ok) {
    const error = problem(response.status, text, response.headers.get('retry-after'));
    if (response.status === 401) onUnauthorized(error, path);
    throw error;
  }
  let data = null;
  if (text !== '' && (response.headers.get('content-type') ?? '').includes('json')) {
    try {
      data = JSON.parse(text);
    } catch {
      throw new ApiError({ status: response.status, code: 'answer_malformed' });
    }
  }
  return { data, text, etag: response.headers.get('etag'), status: response.status, headers: response.headers };
}

/** As `apiFull`, the data alone. */
export async function api(method, path, options) {
  return (await apiFull(method, path, options)).data;
}

/**
 * The pages of a list, one after the other: `for await (const {items, next} of pages(path, query))`.
 * `query.cursor` begins in the middle.
 */
export async function* pages(path, query = {}, { signal } = {}) {
  let cursor = query.cursor ?? null;
  do {
    const page = await api('GET', path, { query: { ...query, cursor }, signal });
    yield page;
    cursor = page.next;
  } while (cursor);
}

/** All items of a list that is known to be short (endpoints, keys), `most` of them. */
export async function all(path, query = {}, { signal, most = 1000 } = {}) {
  const items = [];
  for await (const page of pages(path, { limit: MAX_PAGE, ...query }, { signal })) {
    items.push(...page.items);
    if (items.length >= most) break;
  }
  return items;
}

const messageKey = (status) => {
  if (status === 0) return 'network';
  if (status >= 500) return 'server';
  return String(status);
};

/* messages: common.error.code.* common.error.status.* common.error.mend.* */

/** One sentence for the reader: ours if we know the code, else the server's (English), else what the status means. */
export function errorText(error) {
  if (!(error instanceof ApiError)) return t('common.error.unexpected');
  const ours = `common.error.code.${error.code}`;
  if (has(ours)) return t(ours);
  if (error.detail !== '') return error.detail;
  return errorTitle(error);
}

/** A few words: what kind of failure it is. */
export function errorTitle(error) {
  const key = `common.error.status.${messageKey(error?.status ?? -1)}`;
  return t(has(key) ? key : 'common.error.unexpected');
}

/** What the reader can do about it; '' if there is nothing general to say. */
export function errorMend(error) {
  const key = `common.error.mend.${messageKey(error?.status ?? -1)}`;
  const text = { n: Math.max(1, error?.retryAfter ?? 1) };
  return has(key) || has(`${key}.other`) ? t(key, text) : '';
}
