// Delivering again: one delivery, an event to all its endpoints, or what became of a call. Confirmed first; the job's id goes
// into the query string, so that its progress survives a reload. A dead letter that is sent again leaves the list of them.
import { html, useCallback, useEffect, useState } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Link, useQuery } from '../../lib/router.js';
import { canWrite } from '../../lib/session.js';
import { Time } from '../../lib/format.js';
import { Button, Dialog, ErrorBox, KeyValue, Notice, later, useToast } from '../../lib/ui.js';
import { askReplay, redriveOne, releaseHeld } from './requests.js';
import { endpointPath } from './place.js';
import { Id } from './texts.js';
import { isConcluded, isDelivered, waitsForEndpoint } from './states.js';

const JobPanel = later(() => import('./replay-job.js'), 'JobPanel');

/**
 * Asks for one delivery again, the way that fits its state. One that died leaves the list of dead letters by that; if it has left
 * before, there is nothing to redrive, and it is replayed.
 */
async function ask(tenant, delivery) {
  if (delivery.state === 'dead') {
    const job = await redriveOne(tenant, delivery.id);
    if (!job.counted || job.total > job.skipped) return job;
  }
  return askReplay(tenant, { delivery: delivery.id });
}

/** Milliseconds after asking in which what it makes is looked for, although nothing else is going on. */
const RECENT_MS = 60_000;

/** The job that the page follows: its id, in the query string; whether it was asked for just now; and how to set it. */
export function useFollowed() {
  const [query, setQuery] = useQuery();
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    if (asked === 0) return undefined;
    const timer = setTimeout(() => setAsked(0), RECENT_MS);
    return () => clearTimeout(timer);
  }, [asked]);
  const follow = useCallback((job) => {
    setAsked(Date.now());
    setQuery({ replay: job.id });
  }, [setQuery]);
  const putAway = useCallback(() => setQuery({ replay: null }), [setQuery]);
  return { id: query.replay ?? null, isRecent: asked !== 0, follow, putAway };
}

/** The progress of the followed job; `children` say what came of it. */
export function Followed({ tenant, followed, onOver, children }) {
  if (!followed.id) return null;
  return html`<div class="followed stack">
    <${JobPanel} tenant=${tenant} id=${followed.id} readOnly=${!canWrite()} onOver=${onOver} onClose=${followed.putAway} />
    ${children}
  </div>`;
}

/** What the reader ought to know before a delivery is sent again. */
function Warning({ tenant, delivery, endpoint }) {
  if (endpoint.state !== 'active' || endpoint.hold) {
    const why = endpoint.hold ? 'failing' : endpoint.state;
    return html`<${Notice} kind="warn">${t(`deliveries.resend.endpoint.${why}`)}${' '}
      <${Link} href=${endpointPath(tenant, delivery.endpoint)}>${t('deliveries.resend.open_endpoint')}<//><//>`;
  }
  if (!isConcluded(delivery.state)) {
    return html`<${Notice}>${t('deliveries.resend.waits')}${' '}
      ${delivery.next_at && html`<${Time} at=${delivery.next_at} />`}<//>`;
  }
  if (delivery.state === 'succeeded') return html`<${Notice}>${t('deliveries.resend.arrived')}<//>`;
  return null;
}

/* messages: deliveries.resend.endpoint.* */

/** A dialog that says what is about to be sent, sends it, and shows a refusal. */
function Ask({ title, children, label, onClose, onAsk, onAsked }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const go = async () => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      const job = await onAsk();
      onClose();
      onAsked(job);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose} onSubmit=${go} actions=${html`
      <${Button} onClick=${onClose}>${t('common.action.cancel')}<//>
      <${Button} kind="primary" type="submit" busy=${busy}>${label}<//>`}>
    ${children}
    ${error && html`<${ErrorBox} error=${error} onRetry=${go} />`}
  <//>`;
}

/** "Send now" of one that is held: it leaves before what else waits, and no second one is made. */
export function Release({ tenant, delivery, kind = 'primary', small = false }) {
  const [isOpen, setIsOpen] = useState(false);
  const toast = useToast();
  return html`<${Button} kind=${kind} small=${small} icon="send" onClick=${() => setIsOpen(true)}>${t('deliveries.resend.now')}<//>
    ${isOpen && html`<${Ask} title=${t('deliveries.resend.now_title')} label=${t('deliveries.resend.now')} onClose=${() => setIsOpen(false)}
      onAsk=${() => releaseHeld(tenant, delivery)} onAsked=${() => toast(t('deliveries.resend.on_its_way'))}>
      <p>${t('deliveries.resend.now_text')}</p>
    <//>`}`;
}

/**
 * "Send again" of one delivery. `endpoint` is undefined while it is read, null if it is gone: then there is nobody to send to. What
 * waits for its endpoint goes out with it: another one would only wait beside it, and arrive twice.
 */
export function ResendOne({ tenant, delivery, endpoint, kind = 'primary', small = false, onAsked }) {
  const [isOpen, setIsOpen] = useState(false);
  if (endpoint === null || waitsForEndpoint(delivery)) return null;
  if (delivery.state === 'held' && isDelivered(endpoint)) return html`<${Release} ...${{ tenant, delivery, small }} kind=${small ? kind : 'plain'} />`;
  return html`<${Button} kind=${kind} small=${small} icon="send" onClick=${() => setIsOpen(true)}>${t('deliveries.resend.one')}<//>
    ${isOpen && html`<${Ask} title=${t('deliveries.resend.one_title')} label=${t('deliveries.resend.one')}
      onClose=${() => setIsOpen(false)} onAsk=${() => ask(tenant, delivery)} onAsked=${onAsked}>
      <p>${t('deliveries.resend.one_text')}</p>
      <${KeyValue} items=${[
        [t('deliveries.event'), html`<${Id} text=${delivery.event} />`],
        [t('deliveries.endpoint'), html`<bdi class="mono" dir="ltr">${endpoint?.url ?? delivery.endpoint}</bdi>`],
      ]} />
      ${endpoint && html`<${Warning} tenant=${tenant} delivery=${delivery} endpoint=${endpoint} />`}
    <//>`}`;
}

/** "Send again to all" of an event. */
export function ResendAll({ tenant, event, n, onAsked }) {
  const [isOpen, setIsOpen] = useState(false);
  return html`<${Button} icon="send" disabled=${n === 0} onClick=${() => setIsOpen(true)}>${t('deliveries.resend.all')}<//>
    ${isOpen && html`<${Ask} title=${t('deliveries.resend.all_title')} label=${t('deliveries.resend.all_now', { n })}
      onClose=${() => setIsOpen(false)} onAsk=${() => askReplay(tenant, { event })} onAsked=${onAsked}>
      <p>${t('deliveries.resend.all_text', { n })}</p>
      <p class="muted">${t('deliveries.resend.same_id')}</p>
    <//>`}`;
}
