// What needs somebody, the most urgent first, each with one next step. Says so when nothing does.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Time, number, percent } from '../../lib/format.js';
import { Icon } from '../../lib/icons.js';
import { Link, path } from '../../lib/router.js';
import { Card } from '../../lib/ui.js';
import { outcomeText } from '../parts/states.js';

/** More are counted and lead to the list. */
const MOST_SHOWN = 6;

const DRAWN = { disabled: ['bad', 'ban'], held: ['bad', 'hold'], failing: ['bad', 'warn'], dead: ['bad', 'dead'], paused: ['warn', 'pause'],
  retrying: ['warn', 'replay'], recovering: ['info', 'replay'], waiting: ['info', 'clock'], low: ['warn', 'warn'], inactive: ['info', 'dot'] };

/** @param {{tenant: string, items: object[], canWrite: boolean, isNew: boolean}} props `items`: as `attention` orders them */
export function AttentionList({ tenant, items, canWrite, isNew }) {
  // The first steps name what is not activated yet.
  const shown = isNew ? items.filter((item) => item.kind !== 'inactive') : items;
  if (shown.length === 0 && isNew) return null;
  if (shown.length === 0) {
    return html`<p class="all-well"><${Icon} name="check" /> ${t('overview.nothing')}</p>`;
  }
  const rest = shown.length - MOST_SHOWN;
  return html`<${Card} title=${t('overview.attention')} class="attention">
    <ul class="attention-list">${shown.slice(0, MOST_SHOWN).map((item) => html`<${Item} key=${`${item.kind} ${item.endpoint?.id ?? ''}`}
      tenant=${tenant} item=${item} canWrite=${canWrite} />`)}</ul>
    ${rest > 0 && html`<p><${Link} href=${path('t', tenant, 'endpoints')}>${t('overview.more', { n: rest })}<//></p>`}
  <//>`;
}

/* messages: overview.item.* overview.step.* */

function Item({ tenant, item, canWrite }) {
  const { kind, endpoint, health } = item;
  const [tone, icon] = DRAWN[kind];
  const failure = health?.last_failure;
  const hasFailed = Boolean(failure) && !['paused', 'waiting'].includes(kind);
  const count = item.n === undefined ? '' : item.atLeast ? t('overview.at_least', { count: item.n }) : number(item.n);
  return html`<li class=${`attention-item tone-${tone}`}>
    <${Icon} name=${icon} />
    <div>
      <p><strong>${t(`overview.item.${kind}`, { count, rate: item.rate === undefined ? '' : percent(item.rate) })}</strong></p>
      ${endpoint && html`<p><bdi class="mono" dir="ltr">${endpoint.url}</bdi></p>`}
      ${(endpoint?.description || hasFailed) && html`<p class="small muted">${endpoint.description && html`<bdi>${endpoint.description}</bdi>`}
        ${endpoint.description && hasFailed && ' · '}${hasFailed && html`${outcomeText(failure)} · <${Time} at=${failure.at} />`}</p>`}
    </div>
    <${Link} class="button button-plain button-small" href=${nextStep(tenant, item, canWrite)}>${t(`overview.step.${canWrite ? kind : 'look'}`)}<//>
  </li>`;
}

function nextStep(tenant, { kind, endpoint, worst }, canWrite) {
  if (kind === 'dead') return path('t', tenant, 'dead-letters') + (worst ? `?endpoint=${encodeURIComponent(worst)}` : '');
  if (kind === 'waiting' && !endpoint) return `${path('t', tenant, 'deliveries')}?state=retrying`;
  if (kind === 'low') return `${path('t', tenant, 'deliveries')}?state=dead`;
  if (kind === 'inactive' && canWrite) return `${path('t', tenant, 'endpoints', 'new')}?step=test&endpoint=${encodeURIComponent(endpoint.id)}`;
  return path('t', tenant, 'endpoints', endpoint.id);
}
