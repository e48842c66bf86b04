// The events of a tenant, newest first: narrowed by type, agent, call, endpoint and time, or as they come. The
// filters and whether it is live are in the query string. An id is found by the search above every page.
import { html, useMemo } from '../lib/preact.js';
import { tenantApi } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { useQuery } from '../lib/router.js';
import { Button, Card, Empty, FilterBar, Notice, PageHead, Pager, Switch, useAsync, usePages } from '../lib/ui.js';
import { rangeOf } from '../lib/ui/filters.js';
import { endpointOptions, useEndpoints } from './parts/endpoints.js';
import { EventTable } from './parts/event-table.js';
import { LiveEvents } from './parts/live-events.js';
import { SendEvent } from './parts/send-event.js';
import { allEventTypes } from './parts/requests.js';
import { filled } from './parts/texts.js';
import { useKeepLooking } from './parts/keep-looking.js';

export const areas = ['events', 'deliveries'];

const PAGE = 50;
const FILTERS = ['type', 'agent', 'call', 'endpoint', 'range', 'since', 'until'];

function Filters({ endpoints, types, isLive }) {
  return html`<${FilterBar} fields=${[
    { key: 'type', label: t('events.type'), suggestions: types },
    { key: 'agent', label: t('events.agent') },
    { key: 'call', label: t('events.call') },
    { key: 'endpoint', label: t('events.endpoint'), type: 'select', placeholder: t('events.all_endpoints'), options: endpointOptions(endpoints) },
    // What comes has no past.
    !isLive && { key: 'range', label: t('events.time'), type: 'range' },
  ].filter(Boolean)} />`;
}

function Nothing({ tenant, query, next }) {
  if (next) return html`<${Empty} icon="event" title=${t('events.empty.more')} text=${t('events.empty.more_text')} />`;
  const isNarrowed = FILTERS.some((key) => query[key]);
  return isNarrowed
    ? html`<${Empty} icon="event" title=${t('events.empty.narrowed')} text=${t('events.empty.narrowed_text')} />`
    : html`<${Empty} icon="event" title=${t('events.empty.none')} text=${t('events.empty.none_text')}
        action=${html`<${SendEvent} tenant=${tenant} />`} />`;
}

function List({ tenant, query, list }) {
  const isLooking = useKeepLooking(list);
  return html`<${Card} flush><${EventTable} tenant=${tenant} rows=${list.items} loading=${list.loading || list.loadingMore || isLooking} error=${list.error}
      onRetry=${list.reload} empty=${html`<${Nothing} tenant=${tenant} query=${query} next=${list.next} />`} />
    <${Pager} next=${list.next} onMore=${list.more} loading=${list.loadingMore} count=${list.items.length} /><//>
    ${list.page?.unreadable && html`<${Notice} kind="warn">${t('events.unreadable', { n: list.page.unreadable })}<//>`}`;
}

export function Page({ params: { tenant } }) {
  const [query, setQuery] = useQuery();
  const isLive = query.live === '1';
  const endpoints = useEndpoints(tenant);
  const types = useAsync(({ signal }) => allEventTypes(tenant, signal), [tenant]);
  const { range, since, until } = query;
  const moments = useMemo(() => rangeOf({ range, since, until }), [range, since, until]);
  const { type, agent, call, endpoint } = query;
  const filters = filled({ type, agent, call, endpoint });
  const list = usePages(isLive ? null : tenantApi(tenant, 'events'), { ...filters, ...filled(moments), limit: PAGE });
  return html`<${PageHead} title=${t('events.title')} text=${t('events.text')}
      actions=${html`<${Switch} label=${t('events.live.label')} checked=${isLive} onChange=${(on) => setQuery({ live: on ? '1' : null })} />
        ${!isLive && html`<${Button} icon="refresh" busy=${list.loading} onClick=${list.reload}>${t('events.refresh')}<//>`}
        <${SendEvent} tenant=${tenant} />`} />
    <div class="stack">
      <${Filters} endpoints=${endpoints.data} types=${types.data?.items.map(({ name }) => name)} isLive=${isLive} />
      ${isLive
        ? html`<${LiveEvents} key=${JSON.stringify(filters)} tenant=${tenant} filters=${filters} />`
        : html`<${List} tenant=${tenant} query=${query} list=${list} />`}
    </div>`;
}
