// How many dead letters there are, by endpoint, agent, type and reason. A value that is chosen narrows the page. Reads only.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { number } from '../../lib/format.js';
import { Card, ErrorBox, Loading } from '../../lib/ui.js';
import { shortUrl } from './texts.js';
import { REASONS, reasonName, reasonText } from './reasons.js';

/// Values shown of each property; the list's filters reach the others.
const MOST_VALUES = 6;
/// Letters of a URL beside its number.
const COUNT_LETTERS = 30;

/// A bar whose length is an SVG attribute: no inline style.
const Bar = ({ part }) => html`<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
  <rect class="bar-back" width="100" height="4" rx="2" /><rect class="bar-fill" width=${Math.max(1, part * 100)} height="4" rx="2" /></svg>`;

function label(by, value, endpoints) {
  if (value == null) return t('dead-letters.reason.none');
  if (by === 'reason') return reasonName(value);
  if (by === 'endpoint') return shortUrl(endpoints?.find((one) => one.id === value)?.url ?? value, COUNT_LETTERS);
  return value;
}

/* messages: dead-letters.by.* */
function CountsBy({ counts, total, endpoints, query, setQuery }) {
  const { by, values, others } = counts;
  const shown = values.slice(0, MOST_VALUES);
  const rest = others + values.slice(MOST_VALUES).reduce((sum, { count }) => sum + count, 0);
  return html`<${Card} title=${t(`dead-letters.by.${by}`)} level=${3}>
    <ul class="counts">${shown.map(({ value, count }) => {
      const isChosen = value != null && query[by] === value;
      // A reason that a later release made up is no filter that the API takes.
      const canChoose = value != null && (by !== 'reason' || REASONS.includes(value));
      const text = html`<span class="counts-label"><bdi dir=${by === 'reason' ? null : 'ltr'}>${label(by, value, endpoints)}</bdi></span>
        <span class="counts-number">${number(count)}</span><${Bar} part=${total ? count / total : 0} />`;
      return html`<li key=${value}>
        ${!canChoose ? html`<div class="counts-row">${text}</div>`
          : html`<button type="button" class="counts-row" aria-pressed=${isChosen ? 'true' : 'false'}
              onClick=${() => setQuery({ [by]: isChosen ? null : value })}>${text}</button>`}
        ${by === 'reason' && value != null && html`<p class="muted small">${reasonText(value, '')}</p>`}
      </li>`;
    })}</ul>
    ${rest > 0 && html`<p class="muted small">${t('dead-letters.others', { n: rest })}</p>`}
  <//>`;
}

/** `actions`: what can be done with all of them, beside their number. */
export function LetterCounts({ counts, endpoints, query, setQuery, actions }) {
  const { data, error, loading, reload } = counts;
  if (error) return html`<${ErrorBox} error=${error} onRetry=${reload} />${actions}`;
  if (!data) return html`${actions}${loading && html`<${Loading} />`}`;
  if (data.count === 0) return actions;
  const total = data.at_least ? t('dead-letters.at_least', { n: number(data.count) }) : number(data.count);
  return html`<section class="stack" aria-labelledby="letters-counted">
    <div class="section-head"><h2 id="letters-counted">${t('dead-letters.counted', { n: data.count, count: total })}</h2>${actions}</div>
    ${data.at_least && html`<p class="muted">${t('dead-letters.counted_some')}</p>`}
    <div class="counts-grid">${data.counts.filter(({ values }) => values.length > 0).map((one) => html`<${CountsBy} key=${one.by} counts=${one}
      total=${data.count} endpoints=${endpoints} query=${query} setQuery=${setQuery} />`)}</div>
  </section>`;
}
