// One endpoint: how it is and why, its deliveries, a test of it, its settings. Every tab is an address of its own.
import { html, useCallback } from '../lib/preact.js';
import { all, api, tenantApi } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { Link, path, useQuery } from '../lib/router.js';
import { useSession } from '../lib/session.js';
import { Card, Copy, Empty, ErrorBox, Loading, PageHead, State, Tabs, later, useAsync } from '../lib/ui.js';
import { usePoll } from '../lib/live.js';
import { named, readHealth, stateOf } from './endpoint/look.js';
import { StateActions } from './endpoint/state-actions.js';
import { OverviewTab } from './endpoint/overview-tab.js';
import { useFollowed } from './parts/resend.js';

// What the first tab needs is enough to begin with.
const DeliveriesTab = later(() => import('./endpoint/deliveries-tab.js'), 'DeliveriesTab');
const JobPanel = later(() => import('./parts/replay-job.js'), 'JobPanel');
const TestPanel = later(() => import('./endpoint/test-panel.js'), 'TestPanel');
const SettingsTab = later(() => import('./endpoint/settings-tab.js'), 'SettingsTab');

export const areas = ['endpoint', 'endpoints', 'overview', 'deliveries', 'replays'];

const TABS = ['overview', 'deliveries', 'test', 'settings'];
/** How often the endpoint and its health are read again, in milliseconds. */
const AGAIN_MS = 15_000;

/** Another endpoint is another page: nothing that was read or typed for one may show for another. */
export function Page({ params: { tenant, endpoint } }) {
  return html`<${Endpoint} key=${`${tenant} ${endpoint}`} tenant=${tenant} id=${endpoint} />`;
}

function Endpoint({ tenant, id }) {
  const [query, setQuery] = useQuery();
  const canWrite = useSession()?.readOnly === false;
  const tab = TABS.includes(query.tab) ? query.tab : TABS[0];
  const view = usePoll(({ signal }) => api('GET', tenantApi(tenant, 'endpoints', id), { signal }), AGAIN_MS, [tenant, id]);
  const health = usePoll(({ signal }) => readHealth(tenant, id, signal), AGAIN_MS, [tenant, id]);
  const types = useAsync(({ signal }) => all(tenantApi(tenant, 'event-types'), {}, { signal }), [tenant]);
  const reload = useCallback(() => Promise.all([view.reload(), health.reload()]), [view.reload, health.reload]);
  const followed = useFollowed();

  if (!view.data) {
    return html`<${PageHead} title=${t('endpoint.title')} crumbs=${crumbs(tenant)} />
      ${view.error ? html`<${NotThere} tenant=${tenant} error=${view.error} onRetry=${view.reload} />` : html`<${Loading} kind="card" /><${Loading} kind="chart" />`}`;
  }
  const endpoint = view.data;
  // What somebody began here, or what drains by itself.
  const job = followed.id ?? health.data?.drain?.id ?? null;
  const shared = { tenant, endpoint, health, types, canWrite, reload };
  const actions = canWrite && html`<${StateActions} ...${shared} canTest=${tab !== 'test'} onTab=${(to) => setQuery({ tab: to }, { replace: false })} />`;
  return html`
    <${PageHead} title=${html`<span class="mono" dir="ltr">${endpoint.url}</span>`} tab=${endpoint.url} crumbs=${crumbs(tenant)}
      after=${html`<${Copy} text=${endpoint.url} label=${t('endpoint.copy_url')} /><${Standing} endpoint=${endpoint} health=${health.data} />`}
      text=${endpoint.description && html`<bdi>${endpoint.description}</bdi>`} actions=${actions} />
    ${job && html`<${JobPanel} tenant=${tenant} id=${job} readOnly=${!canWrite} onOver=${reload} onClose=${followed.putAway} />`}
    <${Tabs} label=${t('endpoint.title')} tabs=${tabsOf()} active=${tab} onChange=${(to) => setQuery(withTab(query, to), { replace: false })}>
      ${tab === 'overview' && html`<${OverviewTab} ...${shared} />`}
      ${tab === 'deliveries' && html`<${DeliveriesTab} ...${shared} />`}
      ${tab === 'test' && html`<${Card} title=${t('endpoint.test_title')} text=${t('endpoint.test_about')}>
        <${TestPanel} tenant=${tenant} endpoint=${endpoint} types=${types} canSend=${canWrite} isWide /><//>`}
      ${tab === 'settings' && html`<${SettingsTab} ...${shared} onChanged=${view.setData} />`}
    <//>`;
}

/** The state beside the URL; with what waits, where that is not to be seen of the state itself. */
function Standing({ endpoint, health }) {
  const waiting = health?.held.count ?? 0;
  const reason = waiting > 0 ? t(health.held.at_least ? 'endpoints.n_wait_more' : 'endpoints.n_wait', { n: waiting }) : undefined;
  return html`<${State} state=${named(stateOf(endpoint, health))} reason=${reason} />`;
}

/** No such endpoint: the list is the way on. Anything else may pass. */
function NotThere({ tenant, error, onRetry }) {
  if (error.status !== 404) return html`<${ErrorBox} error=${error} onRetry=${onRetry} />`;
  const list = html`<${Link} class="button button-primary" href=${path('t', tenant, 'endpoints')}>${t('endpoint.to_list')}<//>`;
  return html`<${Empty} icon="endpoint" title=${t('common.error.status.404')} text=${t('endpoint.not_there')} action=${list} />`;
}

const crumbs = (tenant) => [{ label: t('endpoints.title'), href: path('t', tenant, 'endpoints') }];

/* messages: endpoint.tab.* */
const tabsOf = () => TABS.map((key) => ({ key, label: t(`endpoint.tab.${key}`) }));

/** Filters of one tab mean nothing in another. */
function withTab(query, tab) {
  const cleared = Object.keys(query).filter((key) => key !== 'replay').map((key) => [key, null]);
  return { ...Object.fromEntries(cleared), tab };
}
