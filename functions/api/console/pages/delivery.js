// One delivery: how it stands and why, when it goes on, its attempts in full, and sending it again. Reads the endpoint as it is
// now: what it was at the time of an attempt is not kept.
import { html, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { canWrite } from '../lib/session.js';
import { Link } from '../lib/router.js';
import { Time } from '../lib/format.js';
import { Card, Button, Copy, ErrorBox, KeyValue, Loading, PageHead, State, later, useAsync } from '../lib/ui.js';
import { Attempts } from './parts/attempts.js';
import { NextTry } from './parts/delivery-head.js';
import { OnHold } from './parts/hold.js';
import { Made } from './parts/made.js';
import { NotThere } from './parts/not-there.js';
import { Followed, ResendOne, useFollowed } from './parts/resend.js';
import { Id } from './parts/texts.js';
import { callPath, deliveriesPath, deliveryPath, endpointPath, eventPath } from './parts/place.js';
import { isConcluded, reasonText, waitsForEndpoint } from './parts/states.js';
import { usePollUntil } from './parts/until.js';
import { orNull, readDelivery, readEndpoint, readEvent } from './parts/requests.js';

const CurlDialog = later(() => import('./parts/curl-dialog.js'), 'CurlDialog', { quiet: true });

export const areas = ['deliveries', 'replays'];

/** Between two looks at a delivery that is not concluded, in milliseconds. */
const LOOK_MS = 4000;

export function Page({ params }) {
  return html`<${One} key=${`${params.tenant}/${params.delivery}`} tenant=${params.tenant} id=${params.delivery} />`;
}

function One({ tenant, id }) {
  const { data: delivery, error, reload } = usePollUntil(
    ({ signal }) => readDelivery(tenant, id, signal), LOOK_MS, (read) => isConcluded(read.state), [tenant, id]);
  const crumbs = [{ label: t('deliveries.title'), href: deliveriesPath(tenant) }];
  const title = t('deliveries.name');
  if (!delivery) {
    return html`<${PageHead} title=${title} crumbs=${crumbs} />
      ${error ? html`<${NotThere} tenant=${tenant} error=${error} what="delivery" onRetry=${reload} />` : html`<${Loading} kind="card" />`}`;
  }
  return html`<${Delivery} tenant=${tenant} delivery=${delivery} error=${error} reload=${reload} crumbs=${crumbs} />`;
}

function Delivery({ tenant, delivery, error, reload, crumbs }) {
  const endpoint = useAsync(({ signal }) => orNull(readEndpoint(tenant, delivery.endpoint, signal)), [tenant, delivery.endpoint]);
  const event = useAsync(({ signal }) => orNull(readEvent(tenant, delivery.event, signal)), [tenant, delivery.event]);
  const known = endpoint.loading || endpoint.error ? undefined : endpoint.data;
  const [isCurl, setIsCurl] = useState(false);
  const followed = useFollowed();
  return html`<${PageHead} title=${delivery.event_type} tab=${delivery.id} crumbs=${crumbs}
      after=${html`<${State} state=${delivery.state} reason=${waitsForEndpoint(delivery) ? null : reasonText(delivery.reason)} />`}
      actions=${html`
        ${endpoint.data && event.data && html`<${Button} icon="copy" onClick=${() => setIsCurl(true)}>${t('deliveries.curl.open')}<//>`}
        ${canWrite() && html`<${ResendOne} tenant=${tenant} delivery=${delivery} endpoint=${known}
          onAsked=${followed.follow} />`}`} />
    <div class="stack">
      ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
      <${Followed} tenant=${tenant} followed=${followed} onOver=${reload}>
        ${followed.id && html`<${Made} tenant=${tenant} delivery=${delivery} replay=${followed.id} />`}<//>
      ${waitsForEndpoint(delivery) ? html`<${OnHold} tenant=${tenant} delivery=${delivery} endpoint=${known} />`
        : html`<${NextTry} tenant=${tenant} delivery=${delivery} />`}
      <div class="split">
        <${Card} title=${t('deliveries.attempts.title')}>
          <${Attempts} tenant=${tenant} delivery=${delivery} endpoint=${known} />
        <//>
        <div class="aside"><${Card} title=${t('deliveries.details')}>
          <${Facts} tenant=${tenant} delivery=${delivery} endpoint=${known} event=${event.data} />
        <//></div>
      </div>
    </div>
    ${isCurl && html`<${CurlDialog} tenant=${tenant} endpoint=${endpoint.data} event=${delivery.event} onClose=${() => setIsCurl(false)} />`}`;
}

function Facts({ tenant, delivery, endpoint, event }) {
  const call = event?.related?.call_id;
  return html`<${KeyValue} items=${[
    [t('deliveries.endpoint'), html`<${Link} href=${endpointPath(tenant, delivery.endpoint)}>
      <bdi class="mono" dir="ltr">${endpoint?.url ?? delivery.endpoint}</bdi><//>
      ${endpoint === null && html` <span class="muted">${t('deliveries.endpoint_deleted')}</span>`}`],
    [t('deliveries.event'), html`<${Link} href=${eventPath(tenant, delivery.event)}><${Id} text=${delivery.event} /><//>`],
    [t('deliveries.call'), call && html`<${Link} href=${callPath(tenant, call)}><bdi class="mono" dir="ltr">${call}</bdi><//>`],
    [t('deliveries.agent'), event?.agent && html`<${Id} text=${event.agent} />`],
    [t('deliveries.accepted_at'), html`<${Time} at=${delivery.accepted_at} mode="exact" />`],
    [t('deliveries.replay_of'), delivery.replay_of
      && html`<${Link} href=${deliveryPath(tenant, delivery.replay_of)}><${Id} text=${delivery.replay_of} /><//>`],
    [t('deliveries.id'), html`<${Id} text=${delivery.id} /> <${Copy} text=${delivery.id} />`],
  ]} />`;
}
