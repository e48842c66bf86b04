// One event: what became of it at every endpoint and why, its payload as it was posted, its metadata; sending it again, the
// request as a command, erasing it. The payload is hostile text: shown as text alone.
import { html, useCallback, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { canWrite } from '../lib/session.js';
import { Link, safeHref } from '../lib/router.js';
import { Time } from '../lib/format.js';
import { Button, Card, Copy, Empty, ErrorBox, KeyValue, Loading, Menu, Notice, PageHead, later, useAsync } from '../lib/ui.js';
import { Json, member } from '../lib/json.js';
import { useEndpoints } from './parts/endpoints.js';
import { Erase, Receipt } from './parts/erase.js';
import { EventDeliveries } from './parts/event-deliveries.js';
import { NotThere } from './parts/not-there.js';
import { Followed, ResendAll, useFollowed } from './parts/resend.js';
import { Id } from './parts/texts.js';
import { callPath, eventsPath, withQuery } from './parts/place.js';
import { eventDeliveries, readWholeEvent } from './parts/requests.js';
import { arrivals, isConcluded } from './parts/states.js';
import { usePollUntil } from './parts/until.js';

// Dialogs come when somebody wants them.
const CurlDialog = later(() => import('./parts/curl-dialog.js'), 'CurlDialog', { quiet: true });
const WhyNot = later(() => import('./parts/why-not.js'), 'WhyNot', { quiet: true });

export const areas = ['events', 'deliveries', 'replays'];

/** Between two looks at deliveries that are not concluded, in milliseconds. */
const LOOK_MS = 4000;

export function Page({ params, query }) {
  return html`<${One} key=${`${params.tenant}/${params.event}`} tenant=${params.tenant} id=${params.event} erasure=${query.erasure} />`;
}

function One({ tenant, id, erasure }) {
  const event = useAsync(({ signal }) => readWholeEvent(tenant, id, signal), [tenant, id]);
  const crumbs = [{ label: t('events.title'), href: eventsPath(tenant) }];
  if (event.error && (event.error.status === 410 || event.error.status === 404 || !event.data)) {
    return html`<${PageHead} title=${t('events.name')} crumbs=${crumbs} />
      <div class="stack">
        <${NotThere} tenant=${tenant} error=${event.error} what="event" onRetry=${event.reload} />
        ${erasure && html`<${Receipt} tenant=${tenant} id=${erasure} />`}
      </div>`;
  }
  if (!event.data) return html`<${PageHead} title=${t('events.name')} crumbs=${crumbs} /><${Loading} kind="card" />`;
  return html`<${Event} tenant=${tenant} event=${event.data.data} text=${event.data.text} crumbs=${crumbs} onErased=${event.reload} />`;
}

/** The endpoints of a tenant by id: unknown, gone, or there. */
function useEndpointOf(tenant) {
  const { data, error } = useEndpoints(tenant);
  return useCallback((id) => {
    if (!data) return undefined;
    return data.find((endpoint) => endpoint.id === id) ?? (error ? undefined : null);
  }, [data, error]);
}

function Event({ tenant, event, text, crumbs, onErased }) {
  const endpointOf = useEndpointOf(tenant);
  const followed = useFollowed();
  const deliveries = usePollUntil(
    ({ signal }) => eventDeliveries(tenant, event.id, signal), LOOK_MS,
    ({ items }) => !followed.isRecent && items.every((one) => isConcluded(one.state)), [tenant, event.id]);
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  // The payload waits for the deliveries above it, which would push it away.
  return html`<${PageHead} title=${event.type} tab=${event.id} crumbs=${crumbs} text=${html`<${Where} tenant=${tenant} event=${event} />`}
      actions=${html`
        ${canWrite() && html`<${ResendAll} tenant=${tenant} event=${event.id} n=${event.deliveries} onAsked=${followed.follow} />`}
        <${Menu} kind="plain" label=${t('events.more')} items=${[
          { label: t('events.why.title'), icon: 'info', onClick: () => setDialog({ kind: 'why' }) },
          canWrite() && { label: t('events.erase.event.open'), icon: 'trash', danger: true, onClick: () => setDialog({ kind: 'erase' }) },
        ]} />`} />
    <div class="stack">
      <${Followed} tenant=${tenant} followed=${followed} onOver=${deliveries.reload} />
      ${!deliveries.data && !deliveries.error ? html`<${Loading} kind="card" /><${Loading} kind="chart" />` : html`<div class="split">
        <div class="stack">
          <${Deliveries} tenant=${tenant} event=${event} deliveries=${deliveries} endpointOf=${endpointOf} onAsked=${followed.follow}
            onCurl=${(endpoint) => setDialog({ kind: 'curl', endpoint })} onWhy=${() => setDialog({ kind: 'why' })} />
          <${Card} title=${t('events.payload')}><${Json} text=${member(text, 'data') ?? ''} /><//>
        </div>
        <div class="aside"><${Card} title=${t('events.metadata')}><${Metadata} tenant=${tenant} event=${event} /><//></div>
      </div>`}
    </div>
    ${dialog?.kind === 'why' && html`<${WhyNot} tenant=${tenant} event=${event.id} urlOf=${(one) => endpointOf(one)?.url ?? one} onClose=${close} />`}
    ${dialog?.kind === 'erase' && html`<${Erase} tenant=${tenant} what="event" id=${event.id} onClose=${close} onErased=${onErased} />`}
    ${dialog?.kind === 'curl' && html`<${CurlDialog} tenant=${tenant} endpoint=${dialog.endpoint} event=${event.id} onClose=${close} />`}`;
}

/** When it happened, and on which call: what somebody who looks for it knows. */
function Where({ tenant, event }) {
  const call = event.related.call_id;
  return html`<${Time} at=${event.occurred_at} mode="exact" />
    ${call && html` · <${Link} href=${callPath(tenant, call)}><bdi class="mono" dir="ltr">${call}</bdi><//>`}`;
}

function Deliveries({ tenant, event, deliveries, endpointOf, onAsked, onCurl, onWhy }) {
  const { data, error, reload } = deliveries;
  const items = data?.items ?? [];
  const final = arrivals(items);
  const arrived = final.filter((one) => one.state === 'succeeded').length;
  const why = html`<${Button} onClick=${onWhy}>${t('events.why.open')}<//>`;
  return html`<${Card} title=${t('events.deliveries')}
      text=${data && final.length > 0 && t('events.arrived', { n: arrived, total: final.length })}>
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    ${data && items.length === 0 && html`<${Empty} icon="endpoint" title=${t('events.unwanted')} text=${t('events.unwanted_text')} action=${why} />`}
    ${items.length > 0 && html`<${EventDeliveries} tenant=${tenant} deliveries=${items} endpointOf=${endpointOf} onAsked=${onAsked} onCurl=${onCurl} />`}
    ${data?.more && html`<${Notice}>${t('events.more_deliveries', { n: items.length })}<//>`}
  <//>`;
}

/** An id or a link of the platform's; only http and https are followed. */
function Linked({ value }) {
  const href = safeHref(value);
  return href
    ? html`<a href=${href} rel="noreferrer noopener" target="_blank"><bdi class="mono" dir="ltr">${value}</bdi></a>`
    : html`<bdi class="mono" dir="auto">${value}</bdi>`;
}

function Metadata({ tenant, event }) {
  const call = event.related.call_id;
  const related = Object.entries(event.related).filter(([name]) => name !== 'call_id');
  const filtered = (key, value) => withQuery(eventsPath(tenant), { [key]: value });
  return html`<${KeyValue} items=${[
    [t('events.id'), html`<${Id} text=${event.id} /> <${Copy} text=${event.id} />`],
    [t('events.type'), html`<${Link} href=${filtered('type', event.type)}><${Id} text=${event.type} /><//>`],
    [t('events.call'), call && html`<${Link} href=${callPath(tenant, call)}><bdi class="mono" dir="ltr">${call}</bdi><//> <${Copy} text=${call} />`],
    [t('events.agent'), event.agent && html`<${Link} href=${filtered('agent', event.agent)}><${Id} text=${event.agent} /><//>`],
    [t('events.occurred_at'), html`<${Time} at=${event.occurred_at} mode="exact" />`],
    [t('events.accepted_at'), html`<${Time} at=${event.accepted_at} mode="exact" />`],
    ...related.map(([name, value]) => [html`<bdi class="mono" dir="ltr">${name}</bdi>`, html`<${Linked} value=${value} />`]),
    ...Object.entries(event.links).map(([name, value]) => [
      html`${t('events.link')} <bdi class="mono" dir="ltr">${name}</bdi>`, html`<${Linked} value=${value} />`]),
  ]} />`;
}
