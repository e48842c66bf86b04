// Why a delivery is on hold, since when, when that may end, and what can be done about it. Asks for the endpoint's health, which
// knows of the next probe; changes nothing but what its buttons say.
import { html } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { canWrite } from '../../lib/session.js';
import { Time } from '../../lib/format.js';
import { Link } from '../../lib/router.js';
import { usePoll } from '../../lib/live.js';
import { Notice } from '../../lib/ui.js';
import { Countdown } from './countdown.js';
import { endpointPath } from './place.js';
import { Release } from './resend.js';
import { holdOf } from './states.js';

/* messages: deliveries.hold.title.* deliveries.hold.todo.* */

/** The order that ends a hold: what the button says and asks of the endpoint's page. */
const ORDERS = { failing: 'resume', paused: 'resume', disabled: 'resume', inactive: 'activate' };

/** How often the health is read again, in milliseconds. */
const AGAIN_MS = 15_000;

/** `endpoint` is undefined while it is not known, null if it is gone. */
export function OnHold({ tenant, delivery, endpoint }) {
  const { kind: was, since } = holdOf(delivery, endpoint);
  const isAsked = was === 'failing';
  const health = usePoll(async ({ signal }) =>
    (isAsked ? api('GET', tenantApi(tenant, 'endpoints', delivery.endpoint, 'health'), { signal }) : null),
  isAsked ? AGAIN_MS : null, [tenant, delivery.endpoint, isAsked]);
  // The endpoint may have recovered since it was read.
  const kind = isAsked && ['healthy', 'failing'].includes(health.data?.state) ? 'recovering' : was;
  const isFailing = kind === 'failing';
  const order = ORDERS[kind];
  const page = endpointPath(tenant, delivery.endpoint);
  const actions = html`
    ${canWrite() && endpoint && !order && html`<${Release} tenant=${tenant} delivery=${delivery} />`}
    ${canWrite() && endpoint && order && html`<${Link} class="button button-primary" href=${`${page}?do=${order}`}>${t(order === 'resume' ? 'deliveries.hold.resume' : 'deliveries.hold.activate')}<//>`}
    <${Link} href=${page}>${t('deliveries.resend.open_endpoint')}<//>`;
  return html`<${Notice} kind=${order ? 'warn' : 'info'} title=${t(`deliveries.hold.title.${kind}`)} actions=${actions}>
    ${order && (since || isFailing) && html`<p class="hold-times">
      ${since && html`<span>${t('deliveries.hold.since')} <${Time} at=${since} mode="exact" /></span>`}
      ${isFailing && health.data && html`<span>${t('deliveries.hold.next_probe')} ${health.data.next_probe_at
        ? html`<${Countdown} at=${health.data.next_probe_at} />` : t('deliveries.countdown.due')}</span>`}</p>`}
    <p>${t(`deliveries.hold.todo.${kind}`)}</p>
  <//>`;
}
