// How a delivery stands, in a few lines: its state, why, what its last attempt said, and when it goes on.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { State } from '../../lib/ui.js';
import { Countdown } from './countdown.js';
import { endpointPath } from './place.js';
import { goesAt, lastAttempt, outcomeText, reasonText, waitsForEndpoint } from './states.js';

/** When a delivery that waits goes on, or what it waits for. */
export function NextTry({ tenant, delivery }) {
  if (waitsForEndpoint(delivery)) {
    return html`<p class="next-try">${t('deliveries.waits_for_endpoint')}${' '}
      <${Link} href=${endpointPath(tenant, delivery.endpoint)}>${t('deliveries.resend.open_endpoint')}<//></p>`;
  }
  const at = goesAt(delivery);
  return at ? html`<p class="next-try">${t('deliveries.next_try')} <${Countdown} at=${at} /></p>` : null;
}

/** In few lines, where the attempts themselves are not shown. */
export function DeliveryHead({ tenant, delivery }) {
  const last = lastAttempt(delivery);
  return html`<div class="stack stack-tight delivery-head">
    <p><${State} state=${delivery.state} reason=${reasonText(delivery.reason)} /></p>
    ${last && delivery.state !== 'succeeded' && html`<p>${outcomeText(last)}</p>`}
    <${NextTry} tenant=${tenant} delivery=${delivery} />
  </div>`;
}
