// The deliveries of one endpoint: by state, type, reason and time; each leads to its attempts. Reads only.
import { html, useMemo } from '../../lib/preact.js';
import { tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Time, duration } from '../../lib/format.js';
import { path, useQuery } from '../../lib/router.js';
import { rangeOf } from '../../lib/ui/filters.js';
import { Button, Empty, FilterBar, Pager, State, Table, usePages } from '../../lib/ui.js';
import { STATES, goesAt, lastAttempt, outcomeText, reasonText } from '../parts/states.js';
import { Countdown } from '../parts/countdown.js';

const PAGE = 50;
const FILTERS = ['state', 'type', 'range', 'since', 'until'];

/** The deliveries of an endpoint, newest first; read again when one of `deps` changes. */
export const useDeliveries = (tenant, endpoint, filters, deps = []) => usePages(tenantApi(tenant, 'deliveries'), { endpoint, ...filters }, deps);

/* messages: common.state.* */

export function DeliveriesTab({ tenant, endpoint, types }) {
  const [query, setQuery] = useQuery();
  const { state, type } = query;
  // "The last hour" stays the same hour while the list is read on.
  const between = useMemo(() => rangeOf(query), [query.range, query.since, query.until]);
  const list = useDeliveries(tenant, endpoint.id, { state, type, ...between, limit: PAGE });
  const isFiltered = FILTERS.some((name) => query[name]);
  const fields = [
    { key: 'state', label: t('endpoint.state'), placeholder: t('endpoint.any_state'), type: 'select',
      options: STATES.map((one) => ({ value: one, label: t(`common.state.${one}`) })) },
    { key: 'type', label: t('endpoint.type'), suggestions: (types.data ?? []).map((one) => one.name) },
    { key: 'range', label: t('endpoint.when'), type: 'range' },
  ];
  const clear = () => setQuery(Object.fromEntries(FILTERS.map((name) => [name, null])));
  const empty = isFiltered
    ? html`<${Empty} title=${t('endpoint.none_found')} text=${t('endpoint.none_found_text')} action=${html`<${Button} onClick=${clear}>${t('endpoint.show_all')}<//>`} />`
    : html`<${Empty} icon="delivery" title=${t('endpoint.no_deliveries')} text=${t('endpoint.no_deliveries_text')}
      action=${html`<${Button} icon="send" onClick=${() => setQuery({ tab: 'test' }, { replace: false })}>${t('endpoint.send_test')}<//>`} />`;
  return html`<${FilterBar} fields=${fields} />
    <${DeliveryTable} tenant=${tenant} list=${list} empty=${empty} />
    ${list.items.length > 0 && html`<${Pager} next=${list.next} onMore=${list.more} loading=${list.loadingMore} count=${list.items.length} />`}`;
}

/** @param {{tenant: string, list: object, empty?: any}} props `list`: as `usePages` answers */
export function DeliveryTable({ tenant, list, empty }) {
  const columns = [
    { key: 'type', label: t('endpoint.event'), cell: (delivery) => html`<span class="named"><code dir="ltr">${delivery.event_type}</code>
      <span class="small muted mono" dir="ltr">${delivery.event}</span></span>` },
    { key: 'state', label: t('endpoint.state'), cell: (delivery) => html`<${State} state=${delivery.state} />` },
    { key: 'last', label: t('endpoint.last_attempt'), cell: (delivery) => html`<${Last} delivery=${delivery} />` },
    { key: 'next', label: t('endpoint.next'), cell: (delivery) => html`<${Next} delivery=${delivery} />` },
    { key: 'at', label: t('endpoint.accepted'), cell: (delivery) => html`<${Time} at=${delivery.accepted_at} />` },
  ];
  return html`<${Table} label=${t('endpoint.recent')} columns=${columns} rows=${list.items} loading=${list.loading} error=${list.error}
    onRetry=${list.reload} rowHref=${(delivery) => path('t', tenant, 'deliveries', delivery.id)}
    empty=${empty ?? html`<${Empty} icon="delivery" title=${t('endpoint.no_deliveries')} text=${t('endpoint.no_deliveries_text')} />`} />`;
}

function Last({ delivery }) {
  const last = lastAttempt(delivery);
  if (!last) return html`<span class="muted">${t('endpoint.no_attempt')}</span>`;
  return html`<span>${outcomeText(last)}<br /><span class="small muted">${t('endpoint.attempt_n', { n: last.n })} · ${duration(last.duration_ms)}</span></span>`;
}

/** Why nothing comes any more, or when something does. */
function Next({ delivery }) {
  const at = goesAt(delivery);
  if (at) return html`<${Countdown} at=${at} />`;
  return delivery.reason ? html`<span class="small">${reasonText(delivery.reason)}</span>` : html`<span class="muted">–</span>`;
}
