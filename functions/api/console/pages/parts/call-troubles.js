// What of a call did not arrive: by endpoint, the reason, what the last attempt said, and sending it again right there.
import { html, useState } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { canWrite } from '../../lib/session.js';
import { Button, Card, Notice, State } from '../../lib/ui.js';
import { Countdown } from './countdown.js';
import { ResendOne } from './resend.js';
import { deliveryPath, endpointPath, eventPath } from './place.js';
import { adviceText, goesAt, reasonText, waitsForEndpoint } from './states.js';
import { TroubleSaid } from './call-said.js';

/** Deliveries of a group that are shown at once. */
const SHOWN = 3;

function One({ tenant, delivery, endpoint, onAsked }) {
  return html`<li class="trouble">
    <div class="stack stack-tight">
      <${Link} href=${deliveryPath(tenant, delivery.id)}><span class="mono" dir="ltr">${delivery.event_type}</span><//>
      ${delivery.last && html`<span class="small"><${TroubleSaid} item=${delivery.last} /></span>`}
      ${goesAt(delivery) && html`<span class="small">${t('deliveries.next_try')} <${Countdown} at=${goesAt(delivery)} /></span>`}
    </div>
    ${canWrite() && html`<${ResendOne} tenant=${tenant} delivery=${delivery} endpoint=${endpoint} small
      kind=${delivery.state === 'dead' ? 'primary' : 'plain'} onAsked=${onAsked} />`}
  </li>`;
}

function Group({ tenant, group, endpoint, onAsked, onReplay }) {
  const [isWhole, setIsWhole] = useState(false);
  const { deliveries } = group;
  const shown = isWhole ? deliveries : deliveries.slice(0, SHOWN);
  const last = deliveries[deliveries.length - 1].last;
  const advice = last && adviceText(last);
  const title = html`<${Link} href=${endpointPath(tenant, group.endpoint)}><bdi class="mono" dir="ltr">${endpoint?.url ?? group.endpoint}</bdi><//>`;
  const isMany = canWrite() && endpoint && deliveries.length > 1 && (group.state === 'dead' || group.state === 'canceled');
  return html`<${Card} level=${3} title=${title} class="trouble-group"
      actions=${isMany && html`<${Button} kind="primary" small icon="send" onClick=${() => onReplay({ endpoint: group.endpoint, state: group.state })}>
        ${t('calls.send_all', { n: deliveries.length })}<//>`}>
    <p><${State} state=${group.state} reason=${reasonText(group.reason)} /></p>
    ${advice && html`<p class="advice">${advice}</p>`}
    ${waitsForEndpoint(group) && html`<p>${t('deliveries.waits_for_endpoint')}</p>`}
    <ul class="trouble-list">${shown.map((delivery) => html`<${One} key=${delivery.id} tenant=${tenant} delivery=${delivery}
      endpoint=${endpoint} onAsked=${onAsked} />`)}</ul>
    ${shown.length < deliveries.length && html`<${Button} small onClick=${() => setIsWhole(true)}>
      ${t('calls.more_troubles', { n: deliveries.length - shown.length })}<//>`}
  <//>`;
}

/** Events that no endpoint wanted: not lost, and not delivered to anybody. */
function Unwanted({ tenant, events }) {
  if (events.length === 0) return null;
  return html`<${Notice} kind="info" title=${t('calls.unwanted', { n: events.length })}>
    <details><summary>${t('calls.unwanted_which')}</summary>
      <ul>${events.map((event) => html`<li key=${event.id}><${Link} href=${eventPath(tenant, event.id)}>
        <span class="mono" dir="ltr">${event.type}</span><//></li>`)}</ul></details>
  <//>`;
}

export function CallTroubles({ tenant, groups, unwanted, endpointOf, onAsked, onReplay }) {
  return html`<section class="stack" aria-label=${t('calls.troubles')}>
    <h2>${groups.length > 0 ? t('calls.troubles') : t('calls.no_troubles')}</h2>
    ${groups.map((group) => html`<${Group} key=${group.key} tenant=${tenant} group=${group} endpoint=${endpointOf(group.endpoint)}
      onAsked=${onAsked} onReplay=${onReplay} />`)}
    <${Unwanted} tenant=${tenant} events=${unwanted} />
  </section>`;
}
