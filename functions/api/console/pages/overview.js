// A tenant at a glance: what needs somebody first and the next step, then the figures and charts; for a new tenant the five steps to
// its first event. Changes nothing.
import { html, useRef } from '../lib/preact.js';
import { all, api, tenantApi } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { number } from '../lib/format.js';
import { usePoll } from '../lib/live.js';
import { Link, path } from '../lib/router.js';
import { useSession } from '../lib/session.js';
import { tenantName } from '../lib/tenant-name.js';
import { ErrorBox, Id, Loading, PageHead, Stat, useAsync } from '../lib/ui.js';
import { readHealth } from './endpoint/look.js';
import { useEach } from './parts/each.js';
import { attention, waitingOf, worthAsking } from './overview/attention.js';
import { AttentionList } from './overview/attention-list.js';
import { Charts, Figures, RangeSwitch, useStatistics } from './overview/charts.js';
import { FirstSteps } from './overview/first-steps.js';

export const areas = ['overview', 'deliveries'];

/** How often the endpoints and what fails are read again, in milliseconds: dead letters are counted one by one. */
const AGAIN_MS = 60_000;
/** Endpoints whose health is asked for: those in trouble. More are counted by their own state. */
const MOST_ASKED = 40;
/** Deliveries that are retried now, and that are held: by them the endpoints in trouble are found. */
const WAITING = 50;

/** What of the tenant is looked at besides statistics. A part that fails leaves the others standing. */
async function readTrouble(tenant, signal) {
  const read = (segments, query) => api('GET', tenantApi(tenant, ...segments), { query, signal });
  const waiting = (state) => read(['deliveries'], { state, limit: WAITING }).catch(unlessNeeded);
  const [endpoints, retrying, held, dead, events] = await Promise.all([
    all(tenantApi(tenant, 'endpoints'), {}, { signal }),
    waiting('retrying'),
    waiting('held'),
    read(['dead-letters', 'counts'], { by: 'endpoint' }),
    read(['events'], { limit: 1 }),
  ]);
  const isKnown = !retrying.isRefused && !held.isRefused;
  const isWhole = isKnown && !retrying.next && !held.next;
  return { endpoints, deliveries: [...retrying.items, ...held.items], isKnown, isWhole, dead, hasEvents: events.items.length > 0, at: Date.now() };
}

/** A tenant with very many endpoints' shards cannot be looked through at once: then failing ones are found by their own state. */
function unlessNeeded(error) {
  if (error.code === 'endpoint_needed') return { items: [], isRefused: true };
  throw error;
}

export function Page({ params }) {
  const session = useSession();
  const tenant = params.tenant ?? session?.tenant;
  return tenant ? html`<${Overview} key=${tenant} tenant=${tenant} session=${session} />` : null;
}

function Overview({ tenant, session }) {
  const named = useAsync(() => tenantName(tenant), [tenant]);
  const trouble = usePoll(({ signal }) => readTrouble(tenant, signal), AGAIN_MS, [tenant]);
  const statistics = useStatistics(tenant);
  const known = trouble.data;
  const asked = known ? worthAsking(known.endpoints, known.deliveries, MOST_ASKED, known.isWhole) : [];
  const answers = useEach(asked, (id, signal) => readHealth(tenant, id, signal), known?.at ?? 0);
  const healthOf = Object.fromEntries(Object.entries(answers).map(([id, answer]) => [id, answer.data]));
  // How the endpoints are comes with the list: nobody is told that nothing waits, and a moment later that something does.
  const wasReady = useRef(false);
  wasReady.current ||= Boolean(known) && asked.every((id) => id in answers);
  const isReady = known && wasReady.current;
  const isNew = known && !known.hasEvents;
  const canWrite = session?.readOnly === false;
  const name = named.data || tenant;

  const crumbs = session?.kind === 'operator' ? [{ label: t('overview.tenants'), href: '/' }] : [];
  if (named.error?.status === 404) return html`<${PageHead} title=${tenant} crumbs=${crumbs} /><${ErrorBox} error=${named.error} />`;
  // The name decides how high the head is: nothing jumps when it comes.
  if (named.data === null && !named.error) return html`<${Loading} kind="card" /><${Loading} kind="card" /><${Loading} kind="chart" />`;
  return html`
    <${PageHead} title=${name} text=${html`<${Id} value=${tenant} copy />`}
      crumbs=${crumbs}
      actions=${!isNew && html`<${RangeSwitch} range=${statistics.range} />`} />
    ${trouble.error && !known && html`<${ErrorBox} error=${trouble.error} onRetry=${trouble.reload} />`}
    ${!isReady && !trouble.error && html`<${Loading} kind="card" /><${Loading} kind="card" /><${Loading} kind="chart" />`}
    ${isReady && isNew && html`<${FirstSteps} tenant=${tenant} endpoints=${known.endpoints} session=${session} />`}
    ${isReady && !(isNew && known.endpoints.length === 0) && html`<${AttentionList} tenant=${tenant} canWrite=${canWrite} isNew=${isNew}
      items=${attention({ ...known, healthOf, total: statistics.data?.total ?? null })} />`}
    ${isReady && !isNew && html`
      <${Figures} data=${statistics.data}><${Troubles} tenant=${tenant} known=${known} healthOf=${healthOf} /><//>
      <${Charts} statistics=${statistics} />
      <p><${Link} href=${path('t', tenant, 'endpoints')}>${t('overview.all_endpoints', { n: known.endpoints.length })}<//> ·${' '}
        <${Link} href=${path('t', tenant, 'events')}>${t('overview.all_events')}<//></p>`}`;
}

/** What is on hold, being retried, waiting and given up just now, each a way to look at it. */
function Troubles({ tenant, known, healthOf }) {
  const { endpoints, dead } = known;
  const now = waitingOf(healthOf);
  // Whoever was not asked may have some, too.
  const isLeast = !known.isWhole && endpoints.some((endpoint) => endpoint.state !== 'inactive' && !healthOf[endpoint.id]);
  const text = ({ count, atLeast }) => (atLeast || isLeast ? t('overview.at_least', { count }) : number(count));
  const held = endpoints.filter((endpoint) => endpoint.hold).length;
  const disabled = endpoints.filter((endpoint) => endpoint.state === 'disabled').length;
  const list = path('t', tenant, 'endpoints');
  const deliveries = path('t', tenant, 'deliveries');
  return html`
    <${Stat} label=${t('overview.held')} value=${number(held)} tone=${held > 0 ? 'bad' : undefined} href=${`${list}?state=held`}
      hint=${disabled > 0 ? t('overview.disabled_hint', { n: disabled }) : t('overview.held_hint')} />
    <${Stat} label=${t('overview.retried')} value=${text({ count: now.endpoints, atLeast: false })} tone=${now.endpoints > 0 ? 'warn' : undefined}
      href=${`${deliveries}?state=retrying`} hint=${t('overview.retried_hint', { count: text(now.retrying) })} />
    <${Stat} label=${t('overview.backlog')} value=${text(now.held)} tone=${now.held.count > 0 ? 'warn' : undefined}
      href=${`${deliveries}?state=held`} hint=${t('overview.backlog_hint')} />
    <${Stat} label=${t('overview.dead_letters')} value=${dead.at_least ? t('overview.at_least', { count: dead.count }) : number(dead.count)} tone=${dead.count > 0 ? 'bad' : undefined}
      href=${path('t', tenant, 'dead-letters')} hint=${t('overview.dead_hint')} />`;
}
