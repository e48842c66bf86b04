// The delivery that sending again made: looked for until it is there, then followed until it is concluded.
import { html, useEffect, useState } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { Card } from '../../lib/ui.js';
import { DeliveryHead } from './delivery-head.js';
import { deliveryPath } from './place.js';
import { readDelivery } from './requests.js';
import { isConcluded } from './states.js';

/** Between two looks, in milliseconds: at first, and once it will take a while. */
const LOOK_MS = 1500;
const LOOK_LATER_MS = 10_000;
/** Quick looks; a retry is minutes away. */
const QUICK_LOOKS = 20;

/** Where sending `delivery` again by the job `replay` delivers. */
export const madeId = (delivery, replay) => `${delivery.event}.${delivery.endpoint}.${replay}`;

/** The delivery of that id, or `null` while it is not there. */
function useMade(tenant, id) {
  const [made, setMade] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    let timer = null;
    let looks = 0;
    const later = () => {
      looks += 1;
      timer = setTimeout(look, looks < QUICK_LOOKS ? LOOK_MS : LOOK_LATER_MS);
    };
    async function look() {
      if (document.hidden) return later();
      try {
        const found = await readDelivery(tenant, id, stop.signal);
        if (stop.signal.aborted) return undefined;
        setMade(found);
        return isConcluded(found.state) ? undefined : later();
      } catch (error) {
        // Not there yet, or no answer just now: both may change.
        return stop.signal.aborted || error.status === 401 || error.status === 403 ? undefined : later();
      }
    }
    setMade(null);
    look();
    return () => { stop.abort(); clearTimeout(timer); };
  }, [tenant, id]);
  return made;
}

export function Made({ tenant, delivery, replay }) {
  const made = useMade(tenant, madeId(delivery, replay));
  if (!made) return null;
  return html`<div role="status"><${Card} title=${t('deliveries.made.title')}>
    <${DeliveryHead} tenant=${tenant} delivery=${made} />
    <p><${Link} href=${deliveryPath(tenant, made.id)}>${t('deliveries.made.open')}<//></p>
  <//></div>`;
}
