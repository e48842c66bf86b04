// The timeline of a call as a list, in the order of time: every item in words, with links to its event and delivery.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { Time, date, duration } from '../../lib/format.js';
import { Icon, State } from '../../lib/ui.js';
import { isTransfer } from './call-story.js';
import { deliveryPath, eventPath } from './place.js';
import { outcomeText } from './states.js';
import { ItemSaid } from './call-said.js';
import { Url } from './texts.js';

const ICONS = { occurred: 'call', accepted: 'event', replay_asked: 'replay', more: 'more' };

/* messages: calls.kind.* */

function Kind({ item }) {
  if (item.kind === 'attempted') {
    return html`<${State} state=${item.code === 'ok' ? 'succeeded' : 'failed'} label=${outcomeText(item)} />`;
  }
  if (ICONS[item.kind]) {
    const key = item.kind === 'occurred' && isTransfer(item.event_type) ? 'transfer' : item.kind;
    return html`<span class="state state-mute"><${Icon} name=${ICONS[item.kind]} />${t(`calls.kind.${key}`)}</span>`;
  }
  return html`<${State} state=${item.kind} />`;
}

/** Whether an item only says once more that the attempt before it arrived. */
const isEcho = (item, items) => item.kind === 'succeeded' && items.some((one) => one.kind === 'attempted' && one.code === 'ok'
  && one.delivery === item.delivery);

/** The day of an item, where it is another one than that of the item before. */
function dayOf(items, index) {
  const [before, day] = [items[index - 1], items[index]].map((item) => (item?.at ? date(item.at) : null));
  return day === before ? null : day;
}

function Item({ tenant, item, index, url, day }) {
  return html`<li id=${`item-${index}`} tabindex="-1" class="timeline-item">
    <span class="timeline-at">${day && html`<span class="timeline-day">${day}</span>`}${item.at ? html`<${Time} at=${item.at} mode="clock" />` : html`<span class="muted">${t('calls.now')}</span>`}</span>
    <div class="stack stack-tight">
      <div class="row">
        <${Kind} item=${item} />
        <${Link} href=${eventPath(tenant, item.event)}><span class="mono" dir="ltr">${item.event_type}</span><//>
        ${item.n && html`<span class="small muted">${t('deliveries.attempt.n', { n: item.n })} · ${duration(item.duration_ms)}</span>`}
      </div>
      <div class="small"><${ItemSaid} tenant=${tenant} item=${item} /></div>
      ${item.delivery && html`<${Link} class="small" href=${deliveryPath(tenant, item.delivery)}><${Url} url=${url} /><//>`}
    </div>
  </li>`;
}

/** `index` of an item is its place among all items, whatever is shown: the chart names it so. */
export function CallList({ tenant, items, urls }) {
  return html`<ol class="timeline">${items.map((item, index) => !isEcho(item, items) && html`<${Item} key=${index} index=${index}
    tenant=${tenant} item=${item} day=${dayOf(items, index)} url=${urls.get(item.endpoint) ?? item.endpoint} />`)}</ol>`;
}
