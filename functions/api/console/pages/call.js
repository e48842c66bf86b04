// One call: what did not arrive and why, with sending it again; then everything that happened, on one axis of time and as a list.
// A call is what events name in `related.call_id`: it has no record of its own.
import { html, useMemo, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { canWrite } from '../lib/session.js';
import { useQuery } from '../lib/router.js';
import { Time, number } from '../lib/format.js';
import { Button, Card, Copy, Empty, ErrorBox, KeyValue, Loading, Menu, Notice, PageHead, Select, State } from '../lib/ui.js';
import { CallChart } from './parts/call-chart.js';
import { CallList } from './parts/call-list.js';
import { CallTroubles } from './parts/call-troubles.js';
import { endpointOptions, useEndpoints } from './parts/endpoints.js';
import { Erase, Receipt } from './parts/erase.js';
import { NotThere } from './parts/not-there.js';
import { ReplayCall } from './parts/replay-call.js';
import { Followed, useFollowed } from './parts/resend.js';
import { Id } from './parts/texts.js';
import { ofEndpoint, standing, unarrived, unwanted } from './parts/call-story.js';
import { eventsPath } from './parts/place.js';
import { callEvents, callTimeline } from './parts/requests.js';
import { STATES, isConcluded } from './parts/states.js';
import { usePollUntil } from './parts/until.js';

export const areas = ['calls', 'deliveries', 'events', 'replays'];

/** Between two looks at a call whose deliveries are not all concluded, in milliseconds. */
const LOOK_MS = 5000;

export function Page({ params, query }) {
  return html`<${Call} key=${`${params.tenant}/${params.call}`} tenant=${params.tenant} call=${params.call} query=${query} />`;
}

async function readCall(tenant, call, signal) {
  const [events, timeline] = await Promise.all([callEvents(tenant, call, signal), callTimeline(tenant, call, signal)]);
  return { events: events.items, items: timeline.items, more: events.more || timeline.more };
}

const isQuiet = ({ events }) => events.every((event) => event.states.every(({ state }) => isConcluded(state)));

function Call({ tenant, call, query }) {
  const followed = useFollowed();
  const story = usePollUntil(({ signal }) => readCall(tenant, call, signal), LOOK_MS,
    (data) => !followed.isRecent && isQuiet(data), [tenant, call]);
  const endpoints = useEndpoints(tenant);
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const endpointOf = (id) => (endpoints.data ? endpoints.data.find((one) => one.id === id) ?? null : undefined);
  const hasEvents = story.data?.events.length > 0;
  // What did not arrive comes first: what did would arrive twice.
  const has = (wanted) => story.data?.events.some((event) => event.states.some(({ state }) => state === wanted)) ?? false;
  const first = ['dead', 'held', 'retrying', 'queued'].find(has);
  const preset = first === undefined ? 'succeeded' : first === 'held' ? 'held' : 'dead';
  return html`<${PageHead} title=${html`<span class="mono" dir="ltr">${call}</span>`} tab=${call} after=${html`<${Copy} text=${call} />`}
      crumbs=${[{ label: t('events.title'), href: eventsPath(tenant) }]}
      actions=${hasEvents && canWrite() && html`
        <${Button} icon="replay" onClick=${() => setDialog({ kind: 'replay', endpoint: query.endpoint })}>${t('calls.replay.title')}<//>
        <${Menu} kind="plain" label=${t('events.more')} items=${[
          { label: t('events.erase.call.open'), icon: 'trash', danger: true, onClick: () => setDialog({ kind: 'erase' }) }]} />`} />
    <div class="stack">
      <${Followed} tenant=${tenant} followed=${followed} onOver=${story.reload} />
      ${query.erasure && html`<${Receipt} tenant=${tenant} id=${query.erasure} />`}
      <${Body} tenant=${tenant} story=${story} endpoints=${endpoints.data} endpointOf=${endpointOf} followed=${followed}
        onReplay=${(wish) => setDialog({ kind: 'replay', ...wish })} />
    </div>
    ${dialog?.kind === 'replay' && html`<${ReplayCall} tenant=${tenant} call=${call} endpoints=${endpoints.data} endpoint=${dialog.endpoint}
      state=${dialog.state ?? preset} onClose=${close} onAsked=${followed.follow} />`}
    ${dialog?.kind === 'erase' && html`<${Erase} tenant=${tenant} what="call" id=${call} onClose=${close} onErased=${story.reload} />`}`;
}

function Body({ tenant, story, endpoints, endpointOf, followed, onReplay }) {
  const { data, error, reload } = story;
  if (!data) return error ? html`<${NotThere} tenant=${tenant} error=${error} what="call" onRetry=${reload} />` : html`<${Loading} kind="card" />`;
  if (data.events.length === 0) return html`<${NotThere} tenant=${tenant} error=${{ status: 404 }} what="call" />`;
  return html`${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    ${data.more && html`<${Notice} kind="warn">${t('calls.cut')}<//>`}
    <${Story} tenant=${tenant} data=${data} endpoints=${endpoints} endpointOf=${endpointOf} onAsked=${followed.follow} onReplay=${onReplay} />`;
}

function Story({ tenant, data, endpoints, endpointOf, onAsked, onReplay }) {
  const [query, setQuery] = useQuery();
  const { endpoint } = query;
  const items = useMemo(() => ofEndpoint(data.items, endpoint), [data, endpoint]);
  const groups = useMemo(() => unarrived(data.events, data.items).filter((group) => !endpoint || group.endpoint === endpoint), [data, endpoint]);
  const urls = new Map((endpoints ?? []).map((one) => [one.id, one.url]));
  const concerned = useMemo(() => new Set(data.items.map((item) => item.endpoint).filter(Boolean)), [data]);
  const options = endpointOptions([...concerned].map((id) => endpointOf(id) ?? { id, url: id }), t('calls.all_endpoints'));
  const pick = (index) => {
    const item = document.getElementById(`item-${index}`);
    item?.scrollIntoView({ block: 'center' });
    item?.focus({ preventScroll: true });
  };
  const choose = concerned.size > 1 && html`<${Select} label=${t('calls.endpoint')} value=${endpoint ?? ''} options=${options}
    onChange=${(id) => setQuery({ endpoint: id })} />`;
  return html`<${CallTroubles} tenant=${tenant} groups=${groups} unwanted=${endpoint ? [] : unwanted(data.events)} endpointOf=${endpointOf}
      onAsked=${onAsked} onReplay=${onReplay} />
    <${Summary} events=${data.events} />
    <${Card} title=${t('calls.timeline')} actions=${choose}>
      <${CallChart} items=${items} urls=${urls} onPick=${pick} />
      ${items.length === 0
        ? html`<${Empty} icon="clock" title=${t('calls.nothing')} />`
        : html`<${CallList} tenant=${tenant} items=${items} urls=${urls} />`}
    <//>`;
}

function Summary({ events }) {
  const counts = standing(events);
  const agents = [...new Set(events.map((event) => event.agent).filter(Boolean))];
  const states = STATES.filter((state) => counts[state]);
  return html`<${Card} title=${t('calls.summary')}>
    <${KeyValue} items=${[
      [t('calls.events'), number(events.length)],
      [t('calls.began'), html`<${Time} at=${events[0].occurred_at} mode="exact" />`],
      [t('calls.ended'), html`<${Time} at=${events[events.length - 1].occurred_at} mode="exact" />`],
      [t('calls.agents'), agents.length > 0 && agents.map((agent) => html`<span key=${agent}><${Id} text=${agent} />${' '}</span>`)],
      [t('calls.deliveries'), states.length > 0 && html`<span class="row">${states.map((state) => html`<span key=${state}>
        <${State} state=${state} /> ${number(counts[state])}</span>`)}</span>`],
    ]} />
  <//>`;
}
