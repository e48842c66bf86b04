// A list of ids or other names, cut after a few: hostile text, left to right. Shows; calls nothing.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';

/// How many names are shown before "and more".
const MOST_NAMES = 5;

/// A list of names, cut after a few.
export function Names({ values }) {
  const shown = values.slice(0, MOST_NAMES);
  const more = values.length - shown.length;
  return html`<span class="names">${shown.map((value) => html`<code class="id" dir="ltr" key=${value}>${value}</code> `)}
    ${more > 0 && html`<span class="muted">${t('replays.and_more', { n: more })}</span>`}</span>`;
}
