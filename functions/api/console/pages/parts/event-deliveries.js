// The deliveries of an event: each with its state, the sentence of its last attempt, its attempts, and sending it again. Those
// that did not arrive come first and are open.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { canWrite } from '../../lib/session.js';
import { Button, State } from '../../lib/ui.js';
import { Attempts } from './attempts.js';
import { NextTry } from './delivery-head.js';
import { OnHold } from './hold.js';
import { ResendOne } from './resend.js';
import { deliveryPath } from './place.js';
import { arrivals, reasonText, waitsForEndpoint } from './states.js';
import { Url } from './texts.js';
import { Unfold } from './unfold.js';

/** The most urgent first. */
const URGENCY = ['dead', 'retrying', 'held', 'queued', 'canceled', 'succeeded'];
const OPEN = new Set(['dead', 'retrying', 'held']);

/** The ones that tell how an event stands at an endpoint, the most urgent first; then those that a replay has followed. */
function sorted(deliveries, latest) {
  const rank = (one) => (latest.has(one) ? 0 : URGENCY.length) + URGENCY.indexOf(one.state);
  return [...deliveries].sort((a, b) => rank(a) - rank(b));
}

function One({ tenant, delivery, endpoint, isOpen, onAsked, onCurl }) {
  const summary = html`<${State} state=${delivery.state} reason=${reasonText(delivery.reason)} />
    <${Url} url=${endpoint?.url ?? delivery.endpoint} />
    ${delivery.replay_of && html`<span class="small muted">${t('events.of_replay')}</span>`}
    <span class="small muted">${t('deliveries.attempts.count', { n: delivery.attempts.length })}</span>`;
  return html`<${Unfold} class="delivery" isOpen=${isOpen} summary=${summary} body=${() => html`<div class="stack delivery-body">
      ${waitsForEndpoint(delivery) ? html`<${OnHold} tenant=${tenant} delivery=${delivery} endpoint=${endpoint} />`
        : html`<${NextTry} tenant=${tenant} delivery=${delivery} />`}
      <div class="row">
        ${canWrite() && html`<${ResendOne} tenant=${tenant} delivery=${delivery} endpoint=${endpoint} small
          kind=${delivery.state === 'dead' ? 'primary' : 'plain'} onAsked=${onAsked} />`}
        ${endpoint && html`<${Button} small icon="copy" onClick=${() => onCurl(endpoint)}>${t('deliveries.curl.open')}<//>`}
        <${Link} href=${deliveryPath(tenant, delivery.id)}>${t('events.open_delivery')}<//>
      </div>
      <${Attempts} tenant=${tenant} delivery=${delivery} endpoint=${endpoint} />
    </div>`} />`;
}

/** `endpointOf(id)`: the endpoint, null if it is gone, undefined while it is not known. */
export function EventDeliveries({ tenant, deliveries, endpointOf, onAsked, onCurl }) {
  const latest = new Set(arrivals(deliveries));
  return html`<ul class="delivery-list">${sorted(deliveries, latest).map((delivery) => html`<li key=${delivery.id}>
    <${One} tenant=${tenant} delivery=${delivery} endpoint=${endpointOf(delivery.endpoint)}
      isOpen=${OPEN.has(delivery.state) && latest.has(delivery)} onAsked=${onAsked} onCurl=${onCurl} />
  </li>`)}</ul>`;
}
