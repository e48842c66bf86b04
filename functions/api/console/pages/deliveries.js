// The deliveries of a tenant, newest first, narrowed by state, reason, endpoint, type and time. The filters live in the query
// string. An agent is no filter of this list: the API has it for events and for dead letters.
import { html, useMemo } from '../lib/preact.js';
import { tenantApi } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { Link } from '../lib/router.js';
import { Time, duration } from '../lib/format.js';
import { Button, Card, Empty, FilterBar, Notice, PageHead, Pager, State, Table, useAsync, usePages } from '../lib/ui.js';
import { rangeOf } from '../lib/ui/filters.js';
import { Countdown } from './parts/countdown.js';
import { endpointOptions, useEndpoints } from './parts/endpoints.js';
import { useKeepLooking } from './parts/keep-looking.js';
import { deliveryPath, eventsPath } from './parts/place.js';
import { allEventTypes } from './parts/requests.js';
import { REASONS, STATES, goesAt, lastAttempt, outcomeText, reasonText } from './parts/states.js';
import { Url, filled } from './parts/texts.js';

export const areas = ['deliveries'];

const PAGE = 50;

/** The reasons that a state has; of no state, all. */
const reasonsOf = (state) => REASONS[state] ?? (state ? [] : Object.values(REASONS).flat());

/** The reason asked for, unless the state has no such reason: it was chosen with another state. */
const reasonOf = ({ state, reason }) => (state && !reasonsOf(state).includes(reason) ? null : reason);

/* messages: common.state.* deliveries.reason.* */
function Filters({ query, endpoints, types }) {
  const reasons = reasonsOf(query.state);
  return html`<${FilterBar} fields=${[
    { key: 'state', label: t('deliveries.state'), type: 'select', placeholder: t('deliveries.all_states'),
      options: STATES.map((value) => ({ value, label: t(`common.state.${value}`) })) },
    reasons.length > 0 && { key: 'reason', label: t('deliveries.why'), type: 'select', placeholder: t('deliveries.all_reasons'),
      options: reasons.map((value) => ({ value, label: reasonText(value) })) },
    { key: 'endpoint', label: t('deliveries.endpoint'), type: 'select', placeholder: t('deliveries.all_endpoints'),
      options: endpointOptions(endpoints) },
    { key: 'type', label: t('deliveries.type'), suggestions: types },
    { key: 'range', label: t('deliveries.time'), type: 'range' },
  ].filter(Boolean)} />`;
}

/** What came of the last attempt, or what is waited for. */
function Standing({ delivery }) {
  const last = lastAttempt(delivery);
  const at = goesAt(delivery);
  return html`<div class="stack stack-tight">
    ${delivery.reason && html`<span class="small">${reasonText(delivery.reason)}</span>`}
    ${last && html`<span class="small muted">${t('deliveries.attempt.n', { n: last.n })}: ${outcomeText(last)},${' '}
      ${duration(last.duration_ms)}</span>`}
    ${at && html`<span class="small"><${Countdown} at=${at} /></span>`}
  </div>`;
}

const columnsOf = (urls) => [
  { key: 'event_type', label: t('deliveries.type'), cell: (one) => html`<span class="mono" dir="ltr">${one.event_type}</span>` },
  { key: 'state', label: t('deliveries.state'), phone: 'top', cell: (one) => html`<${State} state=${one.state} />` },
  { key: 'why', label: t('deliveries.last'), cell: (one) => html`<${Standing} delivery=${one} />` },
  { key: 'endpoint', label: t('deliveries.endpoint'), cell: (one) => html`<${Url} url=${urls.get(one.endpoint) ?? one.endpoint} />` },
  { key: 'event', label: t('deliveries.event'), cell: (one) => html`<bdi class="mono small clip" dir="ltr">${one.event}</bdi>` },
  { key: 'accepted_at', label: t('deliveries.accepted_at'), cell: (one) => html`<${Time} at=${one.accepted_at} mode="log" />` },
];

function Nothing({ tenant, query, next }) {
  const isNarrowed = ['state', 'reason', 'endpoint', 'type', 'range', 'since', 'until'].some((key) => query[key]);
  const text = next ? 'more_text' : isNarrowed ? 'narrowed_text' : 'none_text';
  return html`<${Empty} icon="delivery" title=${t(next ? 'deliveries.empty.more' : 'deliveries.empty.none')} text=${t(`deliveries.empty.${text}`)}
    action=${!isNarrowed && html`<${Link} class="button button-plain" href=${eventsPath(tenant)}>${t('deliveries.not_there.events')}<//>`} />`;
}

/* messages: deliveries.empty.* */

export function Page({ params: { tenant }, query }) {
  const endpoints = useEndpoints(tenant);
  const types = useAsync(({ signal }) => allEventTypes(tenant, signal), [tenant]);
  const { range, since, until } = query;
  const moments = useMemo(() => rangeOf({ range, since, until }), [range, since, until]);
  const asked = filled({ state: query.state, reason: reasonOf(query), endpoint: query.endpoint, type: query.type, ...moments, limit: PAGE });
  const list = usePages(tenantApi(tenant, 'deliveries'), asked);
  const isLooking = useKeepLooking(list);
  const urls = new Map((endpoints.data ?? []).map((one) => [one.id, one.url]));
  const needsEndpoint = list.error?.code === 'endpoint_needed';
  return html`<${PageHead} title=${t('deliveries.title')} text=${t('deliveries.text')}
      actions=${html`<${Button} icon="refresh" busy=${list.loading} onClick=${list.reload}>${t('deliveries.refresh')}<//>`} />
    <div class="stack">
      <${Filters} query=${query} endpoints=${endpoints.data} types=${types.data?.items.map((type) => type.name)} />
      ${needsEndpoint
        ? html`<${Notice} kind="info" role="status" title=${t('deliveries.endpoint_needed')}>${t('deliveries.endpoint_needed_text')}<//>`
        : html`<${Card} flush><${Table} label=${t('deliveries.title')} columns=${columnsOf(urls)} rows=${list.items}
            rowHref=${(one) => deliveryPath(tenant, one.id)} loading=${list.loading || list.loadingMore || isLooking} error=${list.error}
            onRetry=${list.reload} empty=${html`<${Nothing} tenant=${tenant} query=${query} next=${list.next} />`} />
          <${Pager} next=${list.next} onMore=${list.more} loading=${list.loadingMore} count=${list.items.length} /><//>`}
      ${list.page?.unreadable && html`<${Notice} kind="warn">${t('deliveries.unreadable', { n: list.page.unreadable })}<//>`}
    </div>`;
}
