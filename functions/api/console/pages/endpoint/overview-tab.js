// How an endpoint is, in words: its state and what follows, why it fails, what waits for it, its charts and latest deliveries.
import { html, useState } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Time, number } from '../../lib/format.js';
import { Link, path, useQuery } from '../../lib/router.js';
import { Button, Card, ErrorBox, Loading, Notice, later } from '../../lib/ui.js';
import { Countdown } from '../parts/countdown.js';
import { outcomeText } from '../parts/states.js';
import { Charts, Figures, RangeSwitch, useStatistics } from '../overview/charts.js';
import { BacklogNumbers, countText, newWish, useBacklog } from './backlog.js';
import { DeliveryTable, useDeliveries } from './deliveries-tab.js';
import { isRecovering, stateOf } from './look.js';
import { Why } from './why.js';

const WorkBacklog = later(() => import('./resume.js'), 'WorkBacklog', { quiet: true });

/** Deliveries that are shown here; the others have a tab. */
const RECENT = 8;

export function OverviewTab({ tenant, endpoint, health, canWrite, reload }) {
  const [, setQuery] = useQuery();
  const onTab = (tab) => setQuery({ tab }, { replace: false });
  const statistics = useStatistics(tenant, endpoint.id);
  const known = health.data;
  // What changes the numbers changes the list.
  const recent = useDeliveries(tenant, endpoint.id, { limit: RECENT }, [known?.last_failure?.at, known?.held.count, known?.dead.count]);
  // What stands above the charts is there at once or not at all: they do not move when it comes.
  if (!known && !health.error) return html`<${Loading} kind="card" /><${Loading} kind="chart" />`;
  return html`
    <${HealthCard} tenant=${tenant} endpoint=${endpoint} health=${health} onTab=${onTab} canWrite=${canWrite} />
    ${known && html`<div class="endpoint-now">
      <${Why} tenant=${tenant} endpoint=${endpoint} health=${known} />
      ${known.held.count > 0 && html`<${BacklogCard} tenant=${tenant} endpoint=${endpoint} health=${known} canWrite=${canWrite} reload=${reload} />`}
    </div>`}
    <div class="section-head"><h2>${t('endpoint.figures')}</h2><${RangeSwitch} range=${statistics.range} /></div>
    <${Figures} data=${statistics.data} />
    <${Charts} statistics=${statistics} level=${3} />
    <${Card} flush title=${t('endpoint.recent')} actions=${html`<${Button} small onClick=${() => onTab('deliveries')}>${t('endpoint.all_deliveries')}<//>`}>
      <${DeliveryTable} tenant=${tenant} list=${recent} />
    <//>`;
}

const KINDS = { healthy: 'good', recovering: 'info', failing: 'bad', held: 'bad', paused: 'warn', disabled: 'bad', inactive: 'info' };

/* messages: endpoint.health.* endpoint.health_text.* endpoint.hold_reason.* */

/** The state and what follows from it: what a person asks first, and the numbers. */
function HealthCard({ tenant, endpoint, health, onTab, canWrite }) {
  if (!health.data) return html`<${ErrorBox} error=${health.error} onRetry=${health.reload} />`;
  const known = health.data;
  const action = canWrite && known.state === 'inactive'
    && html`<${Button} icon="send" onClick=${() => onTab('test')}>${t('endpoint.test_now')}<//>`;
  const state = stateOf(endpoint, known);
  return html`<${Notice} kind=${KINDS[state]} title=${t(`endpoint.health.${state}`, { count: countText(known.held) })} actions=${action}>
    <p>${sentence(known, endpoint)} ${known.state === 'held' && t('endpoint.probe')}</p>
    <${Facts} tenant=${tenant} endpoint=${endpoint} known=${known} />
  <//>`;
}

function sentence(health, endpoint) {
  if (isRecovering(endpoint, health)) return t('endpoint.health_text.recovering');
  if (health.state === 'held' && endpoint.hold) return t(`endpoint.hold_reason.${endpoint.hold.reason}`);
  if (health.state === 'failing') return t('endpoint.health_text.failing', { n: health.failures_in_row });
  if (health.state === 'healthy' && health.failures_in_row > 0) return t('endpoint.health_text.shaky', { n: health.failures_in_row });
  return t(`endpoint.health_text.${health.state}`);
}

/* messages: common.state.* */

/** Numbers and moments side by side; a count leads to what is counted. */
function Facts({ tenant, endpoint, known }) {
  const counted = (state) => {
    const text = countText(known[state]);
    const to = `${path('t', tenant, 'endpoints', endpoint.id)}?tab=deliveries&state=${state}`;
    return [t(`common.state.${state}`), known[state].count > 0 ? html`<${Link} href=${to}>${text}<//>` : text];
  };
  const { last_failure: failure, next_probe_at: next } = known;
  const facts = [
    ...['held', 'retrying', 'dead'].map(counted),
    failure && [t('endpoints.last_failure'), html`${outcomeText(failure)} · <${Time} at=${failure.at} />`],
    known.since && [t('endpoint.since'), html`<${Time} at=${known.since} />`],
    known.state === 'held' && [t('endpoint.next_probe'), next ? html`<${Countdown} at=${next} />` : t('endpoint.no_probe')],
    known.state === 'held' && [t('endpoint.probes'), number(known.probes)],
  ];
  return html`<dl class="health-facts num">${facts.filter(Boolean).map(([label, value]) => html`<div key=${label}><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function BacklogCard({ tenant, endpoint, health, canWrite, reload }) {
  const [isAsking, setIsAsking] = useState(false);
  const backlog = useBacklog(tenant, endpoint.id, newWish('drain'), health.held.count);
  const isDelivered = endpoint.state === 'active' && endpoint.hold === null;
  const done = () => {
    setIsAsking(false);
    backlog.reload();
    reload();
  };
  const actions = canWrite && html`<${Button} small onClick=${() => setIsAsking(true)}>${t(isDelivered ? 'endpoint.work_backlog' : 'endpoint.discard_backlog')}<//>`;
  return html`<${Card} title=${t('endpoint.backlog')} actions=${actions}>
    ${backlog.error && html`<${ErrorBox} error=${backlog.error} onRetry=${backlog.reload} />`}
    ${backlog.data && html`<${BacklogNumbers} backlog=${backlog.data} />`}
    ${!backlog.data && !backlog.error && html`<${Loading} rows=${3} />`}
    ${health.oldest_held_at && html`<p>${t('endpoint.oldest')} <${Time} at=${health.oldest_held_at} /></p>`}
    ${endpoint.kept_until && html`<p>${t('endpoint.kept_until')} <${Time} at=${endpoint.kept_until} mode="exact" />. ${t('endpoint.kept_text')}</p>`}
    ${!isDelivered && html`<p class="muted">${t(endpoint.hold ? 'endpoint.backlog_held' : 'endpoint.backlog_paused')}</p>`}
    <p><${Link} href=${`${path('t', tenant, 'endpoints', endpoint.id)}?tab=deliveries&state=held`}>${t('endpoint.show_held')}<//></p>
    ${isAsking && html`<${WorkBacklog} tenant=${tenant} endpoint=${endpoint} canDrain=${isDelivered} onClose=${() => setIsAsking(false)} onDone=${done} />`}
  <//>`;
}

