// The live tail of events. What comes stands on top while the reader is there; while it is paused, or the reader has scrolled
// down, nothing moves and what came is counted. Screen readers hear a number now and then, not every event.
import { html, useEffect, useRef, useState } from '../../lib/preact.js';
import { tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { useTail } from '../../lib/live.js';
import { Button, Card, Empty, ErrorBox, Notice, State } from '../../lib/ui.js';
import { EventTable } from './event-table.js';

/** Further down than this the reader reads, and nothing is put above. */
const AT_TOP_PX = 160;
/** Between two announcements, in milliseconds. */
const ANNOUNCE_MS = 10_000;

function useIsDown() {
  const [isDown, setIsDown] = useState(false);
  useEffect(() => {
    const look = () => setIsDown(window.scrollY > AT_TOP_PX);
    window.addEventListener('scroll', look, { passive: true });
    look();
    return () => window.removeEventListener('scroll', look);
  }, []);
  return isDown;
}

/** How many have come since the last announcement, every ten seconds. */
function useAnnouncement(fresh) {
  const [text, setText] = useState('');
  const since = useRef(0);
  useEffect(() => { since.current += fresh.size; }, [fresh]);
  useEffect(() => {
    const timer = setInterval(() => {
      setText(since.current > 0 ? t('events.live.announced', { n: since.current }) : '');
      since.current = 0;
    }, ANNOUNCE_MS);
    return () => clearInterval(timer);
  }, []);
  return text;
}

/** What is shown: the tail, or what it was when it was stopped. */
function useStopped(items, isStopped) {
  const [kept, setKept] = useState(null);
  useEffect(() => setKept(isStopped ? items : null), [isStopped]);
  const shown = isStopped && kept ? kept : items;
  const known = new Set(shown.map((event) => event.id));
  const release = () => setKept(items);
  return { shown, n: items.filter((event) => !known.has(event.id)).length, release };
}

export function LiveEvents({ tenant, filters }) {
  const tail = useTail(tenantApi(tenant, 'events'), filters);
  const [isPaused, setIsPaused] = useState(false);
  const isDown = useIsDown();
  const { shown, n, release } = useStopped(tail.items, isPaused || isDown);
  const announced = useAnnouncement(tail.fresh);
  const show = () => {
    release();
    window.scrollTo({ top: 0 });
  };
  return html`<div class="stack">
    <div class="row live-bar">
      <${State} state=${isPaused ? 'paused' : 'running'} icon=${isPaused ? 'pause' : 'live'} label=${t(isPaused ? 'events.live.paused' : 'events.live.on')} />
      <${Button} small icon=${isPaused ? 'play' : 'pause'} onClick=${() => setIsPaused(!isPaused)}>
        ${t(isPaused ? 'events.live.resume' : 'events.live.pause')}<//>
      ${n > 0 && html`<${Button} small kind="primary" class="live-new" onClick=${show}>${t('events.live.show', { n })}<//>`}
      <span class="visually-hidden" aria-live="polite">${announced}</span>
    </div>
    ${tail.error && tail.items.length > 0 && html`<${ErrorBox} error=${tail.error} />`}
    ${tail.missed && html`<${Notice} kind="warn">${t('events.live.missed')}<//>`}
    <${Card} flush><${EventTable} tenant=${tenant} rows=${shown} loading=${tail.loading} error=${tail.items.length === 0 ? tail.error : null}
      onRetry=${tail.reload} fresh=${isPaused || isDown ? undefined : tail.fresh}
      empty=${html`<${Empty} icon="live" title=${t('events.live.waiting')} text=${t('events.live.waiting_text')} />`} /><//>
  </div>`;
}
