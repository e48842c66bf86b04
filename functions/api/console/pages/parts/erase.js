// Erasing an event or a call: asked for with its id typed, told by the receipt. The receipt's id goes into the query string, so
// that a reload shows how far it is. What is erased never comes back, and nothing here keeps it.
import { html, useState } from '../../lib/preact.js';
import { errorText } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { useQuery } from '../../lib/router.js';
import { Time } from '../../lib/format.js';
import { Card, Confirm, Copy, ErrorBox, KeyValue, Loading, State } from '../../lib/ui.js';
import { eraseCall, eraseEvent, readErasure } from './requests.js';
import { Id } from './texts.js';
import { usePollUntil } from './until.js';

/** Between two looks at a receipt that is not complete, in milliseconds: what is under way takes ten minutes. */
const LOOK_MS = 15_000;

/* messages: events.erase.* */

/** `what`: event or call; `onErased` after the API took it. */
export function Erase({ tenant, what, id, onClose, onErased }) {
  const [error, setError] = useState(null);
  const [, setQuery] = useQuery();
  const go = async () => {
    setError(null);
    try {
      const receipt = await (what === 'call' ? eraseCall(tenant, id) : eraseEvent(tenant, id));
      setQuery({ erasure: receipt.id, replay: null });
      onClose();
      onErased();
    } catch (failure) {
      setError(errorText(failure));
    }
  };
  return html`<${Confirm} title=${t(`events.erase.${what}.title`)} text=${t(`events.erase.${what}.text`)} typed=${id}
    action=${t(`events.erase.${what}.now`)} error=${error} onConfirm=${go} onClose=${onClose} />`;
}

/** Ids that may still leave, as far as the receipt names them. */
function Leaving({ receipt }) {
  if (receipt.may_still_leave_count === 0) return null;
  return html`<details><summary>${t('events.receipt.leaving', { n: receipt.may_still_leave_count })}</summary>
    <ul>${receipt.may_still_leave.map((id) => html`<li key=${id}><${Id} text=${id} /></li>`)}</ul></details>`;
}

export function Receipt({ tenant, id }) {
  const { data: receipt, error, reload } = usePollUntil(
    ({ signal }) => readErasure(tenant, id, signal), LOOK_MS, (read) => read.complete, [tenant, id]);
  if (!receipt) return error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : html`<${Loading} kind="card" />`;
  return html`<${Card} title=${t('events.receipt.title')}>
    <p role="status"><${State} state=${receipt.complete ? 'done' : 'running'} />${' '}
      ${t(receipt.complete ? 'events.receipt.complete' : 'events.receipt.going_on')}</p>
    <${KeyValue} items=${[
      [t('events.receipt.id'), html`<${Id} text=${receipt.id} /> <${Copy} text=${receipt.id} />`],
      [t('events.receipt.erased'), html`<${Id} text=${receipt.erased.event ?? receipt.erased.call ?? ''} />`],
      [t('events.receipt.at'), html`<${Time} at=${receipt.at} mode="exact" />`],
      [t('events.receipt.events'), receipt.events],
      [t('events.receipt.canceled'), receipt.canceled],
      [t('events.receipt.unreadable'), receipt.unreadable_count || null],
      [t('events.receipt.completed_at'), receipt.completed_at && html`<${Time} at=${receipt.completed_at} mode="exact" />`],
    ]} />
    <${Leaving} receipt=${receipt} />
  <//>`;
}
