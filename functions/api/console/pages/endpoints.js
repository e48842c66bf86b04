// The endpoints of a tenant: how each of them is, what it gets, when it last worked and when it last failed. Changes nothing.
import { html, useMemo } from '../lib/preact.js';
import { all, tenantApi } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { Time, number } from '../lib/format.js';
import { Icon } from '../lib/icons.js';
import { Link, path, useQuery } from '../lib/router.js';
import { useSession } from '../lib/session.js';
import { Button, Empty, FilterBar, PageHead, State, Table, useAsync } from '../lib/ui.js';
import { outcomeText } from './parts/states.js';
import { useEach } from './parts/each.js';
import { lookAt, named, stateOf } from './endpoint/look.js';
import { wantsType } from './endpoint/draft.js';

export const areas = ['endpoints', 'deliveries'];

const STATES = ['healthy', 'failing', 'recovering', 'held', 'paused', 'disabled', 'inactive'];
/** Types and agents that a row names; more are counted. */
const MOST_NAMED = 3;

export function Page({ params: { tenant } }) {
  return html`<${Endpoints} key=${tenant} tenant=${tenant} />`;
}

function Endpoints({ tenant }) {
  const [query, setQuery] = useQuery();
  const canWrite = useSession()?.readOnly === false;
  const list = useAsync(({ signal }) => all(tenantApi(tenant, 'endpoints'), {}, { signal }), [tenant]);
  const endpoints = useMemo(() => [...(list.data ?? [])].sort(byUrgency), [list.data]);
  const looks = useEach(endpoints.map((endpoint) => endpoint.id), (id, signal) => lookAt(tenant, id, signal));
  const shown = endpoints.filter((endpoint) => fits(endpoint, looks[endpoint.id]?.data, query));
  const isFiltered = Boolean(query.q || query.state || query.type || query.agent);

  return html`
    <${PageHead} title=${t('endpoints.title')} text=${t('endpoints.about')} actions=${canWrite && addLink(tenant)} />
    ${endpoints.length > 0 && html`<${FilterBar} fields=${filterFields(endpoints)} />`}
    <${Table} label=${t('endpoints.title')} columns=${columns(looks)} rows=${shown} rowHref=${(endpoint) => path('t', tenant, 'endpoints', endpoint.id)}
      loading=${list.loading} error=${list.error} onRetry=${list.reload}
      empty=${isFiltered ? noneFound(setQuery) : none(canWrite, tenant)} />
    ${shown.length > 0 && html`<p class="small muted" role="status">${t('endpoints.count', { n: shown.length, all: number(endpoints.length) })}</p>`}`;
}

/** By what is known of an endpoint at once: what somebody should look at stands first, and no row moves when its health comes. */
const URGENCY = ['disabled', 'held', 'active', 'paused', 'inactive'];
const urgencyOf = (endpoint) => URGENCY.indexOf(endpoint.hold ? 'held' : endpoint.state);
const byUrgency = (a, b) => urgencyOf(a) - urgencyOf(b) || a.url.localeCompare(b.url);

const addLink = (tenant) => html`<${Link} class="button button-primary" href=${path('t', tenant, 'endpoints', 'new')}><${Icon} name="plus" />${t('endpoints.add')}<//>`;

const none = (canWrite, tenant) => html`<${Empty} icon="endpoint" title=${t('endpoints.none')} text=${t('endpoints.none_text')}
  action=${canWrite && addLink(tenant)} />`;

const noneFound = (setQuery) => html`<${Empty} title=${t('endpoints.none_found')} text=${t('endpoints.none_found_text')}
  action=${html`<${Button} onClick=${() => setQuery({ q: null, state: null, type: null, agent: null })}>${t('endpoints.show_all')}<//>`} />`;

/* messages: common.state.* */
function filterFields(endpoints) {
  const known = (of) => [...new Set(endpoints.flatMap(of))].sort();
  return [
    { key: 'q', label: t('endpoints.search'), mono: false },
    { key: 'state', label: t('endpoints.state'), placeholder: t('endpoints.any_state'), type: 'select',
      options: STATES.map((state) => ({ value: state, label: t(`common.state.${named(state)}`) })) },
    { key: 'type', label: t('endpoints.gets_type'), suggestions: known((endpoint) => endpoint.event_types) },
    { key: 'agent', label: t('endpoints.gets_agent'), suggestions: known((endpoint) => endpoint.agents) },
  ];
}

function fits(endpoint, look, { q, state, type, agent }) {
  if (state && stateOf(endpoint, look?.health) !== state) return false;
  if (type && !wantsType(endpoint.event_types, type) && !endpoint.event_types.includes(type)) return false;
  if (agent && (endpoint.exclude_agents.includes(agent) || (endpoint.agents.length > 0 && !endpoint.agents.includes(agent)))) return false;
  if (!q) return true;
  const wanted = q.toLowerCase();
  const labels = Object.entries(endpoint.metadata).flat();
  return [endpoint.url, endpoint.description, endpoint.id, ...labels].some((text) => text.toLowerCase().includes(wanted));
}

const columns = (looks) => [
  { key: 'url', label: t('endpoints.endpoint'), cell: (endpoint) => html`<${Named} endpoint=${endpoint} />` },
  { key: 'state', label: t('endpoints.state'), cell: (endpoint) => html`<${Health} endpoint=${endpoint} look=${looks[endpoint.id]} />` },
  { key: 'events', label: t('endpoints.events'), cell: (endpoint) => html`<${Gets} endpoint=${endpoint} />` },
  { key: 'success', label: t('endpoints.last_success'), cell: (endpoint) => html`<${LastSuccess} look=${looks[endpoint.id]} />` },
  { key: 'failure', label: t('endpoints.last_failure'), cell: (endpoint) => html`<${LastFailure} look=${looks[endpoint.id]} />` },
];

/** What is not known yet. */
const unknown = () => html`<span class="muted">–</span>`;

function Named({ endpoint }) {
  return html`<span class="named"><bdi class="mono" dir="ltr">${endpoint.url}</bdi>
    ${endpoint.description && html`<span class="small muted"><bdi>${endpoint.description}</bdi></span>`}</span>`;
}

function Health({ endpoint, look }) {
  const health = look?.data?.health;
  const waiting = health?.held.count ?? 0;
  const reason = waiting > 0 ? t(health.held.at_least ? 'endpoints.n_wait_more' : 'endpoints.n_wait', { n: waiting }) : undefined;
  return html`<${State} state=${named(stateOf(endpoint, health))} reason=${reason} />`;
}

/** What it gets, in few words. */
export function Gets({ endpoint }) {
  const { event_types: types, agents, exclude_agents: without } = endpoint;
  const some = (values) => html`${values.slice(0, MOST_NAMED).map((value) => html`<code key=${value} dir="ltr">${value}</code> `)}
    ${values.length > MOST_NAMED && html`<span class="muted">${t('endpoints.and_more', { n: values.length - MOST_NAMED })}</span>`}`;
  return html`<span class="codes">${types.length === 0 ? t('endpoints.events_all') : some(types)}
    ${agents.length > 0 && html`<br /><span class="small muted">${t('endpoints.of_agents')} ${some(agents)}</span>`}
    ${without.length > 0 && html`<br /><span class="small muted">${t('endpoints.without_agents')} ${some(without)}</span>`}</span>`;
}

function LastSuccess({ look }) {
  if (!look?.data) return unknown();
  return look.data.lastSuccess ? html`<${Time} at=${look.data.lastSuccess} />` : html`<span class="muted">${t('endpoints.never')}</span>`;
}

function LastFailure({ look }) {
  if (!look?.data) return unknown();
  const failure = look.data.health.last_failure;
  if (!failure) return html`<span class="muted" title=${t('endpoints.never')}><span aria-hidden="true">–</span><span class="visually-hidden">${t('endpoints.never')}</span></span>`;
  return html`<${Time} at=${failure.at} /><br /><span class="small muted">${outcomeText(failure)}</span>`;
}
