// What a replay job is doing: followed until it is over, shown with progress and time left, paused, resumed and canceled.
// A job's id lives in the URL, so that a reload goes on showing it. Starts no job.
import { html, useCallback, useEffect, useRef, useState } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { Time, number } from '../../lib/format.js';
import { Button, Card, Confirm, ErrorBox, Id as IdText, KeyValue, Loading, Notice, Progress, State, useToast } from '../../lib/ui.js';
import { callPath, deliveriesPath, deliveryPath, endpointPath, eventPath, replayPath, withQuery } from './place.js';
import { Names } from './names.js';
import { inTenant } from './texts.js';

/// States in which nothing happens to a job any more.
const OVER = new Set(['done', 'failed', 'canceled']);
/// How often a job that is at work is asked for, and one that is paused, in milliseconds.
const FOLLOW_MS = 1500;
const FOLLOW_PAUSED_MS = 8000;
/// After a failed look, until the next.
const AFTER_ERROR_MS = 5000;

/// Jobs whose end was told: whoever reads everything anew then does not do so for ever.
const told = new Set();

export const isOver = (job) => OVER.has(job.state);

/// How many deliveries a job has dealt with, whatever came of them.
export const met = (job) => job.done + job.failed + job.skipped;

/// `POST .../replays/{replay}/{order}`: pause, resume or cancel.
export const orderJob = (tenant, id, order) =>
  api('POST', inTenant(tenant, 'replays', id, order));

/// Follows a job until it is over, and calls `onOver` once then: a small job may be over at the first look.
export function useJob(tenant, id, onOver) {
  const [view, setView] = useState({ id: null, job: null, error: null });
  const [round, setRound] = useState(0);
  const over = useRef(onOver);
  over.current = onOver;

  useEffect(() => {
    if (!id) return undefined;
    const stop = new AbortController();
    let timer = null;
    const later = (ms) => { timer = setTimeout(look, ms); };
    async function look() {
      if (document.hidden) return later(FOLLOW_MS);
      try {
        const job = await api('GET', inTenant(tenant, 'replays', id), { signal: stop.signal });
        if (stop.signal.aborted) return undefined;
        setView({ id, job, error: null });
        if (!isOver(job)) return later(job.state === 'paused' ? FOLLOW_PAUSED_MS : FOLLOW_MS);
        if (over.current && !told.has(id)) {
          told.add(id);
          over.current(job);
        }
      } catch (error) {
        if (stop.signal.aborted) return undefined;
        setView((before) => ({ id, job: before.id === id ? before.job : null, error }));
        if (!error.status || error.status === 429 || error.status >= 500) later(AFTER_ERROR_MS);
      }
      return undefined;
    }
    look();
    return () => { stop.abort(); clearTimeout(timer); };
  }, [tenant, id, round]);

  const reload = useCallback(() => setRound((n) => n + 1), []);
  const isIt = view.id === id;
  return { job: isIt ? view.job : null, error: isIt ? view.error : null, reload };
}

/* messages: replays.what.* replays.of.* replays.from.* replays.field.* replays.progress.* replays.ordered.* */

/// What a job was asked to do, in a sentence.
export function describe(what) {
  const verb = what.action === 'discard' ? 'discard' : 'deliver';
  const values = {
    id: what.event ?? what.delivery ?? what.call_id ?? what.endpoint ?? '',
    n: what.deliveries?.length ?? what.endpoints?.length ?? 0,
  };
  if (what.missing) return t('replays.what.missing', values);
  if (what.event) return t('replays.what.event', values);
  if (what.delivery) return t(`replays.what.${verb}.delivery`, values);
  if (what.deliveries) return t(`replays.what.${verb}.deliveries`, values);
  if (what.call_id) return t('replays.what.call', values);
  const of = what.state ?? 'concluded';
  const from = what.endpoint ? 'endpoint' : what.endpoints ? 'endpoints' : 'tenant';
  return t(`replays.what.${verb}.of`, { what: t(`replays.of.${of}`), from: t(`replays.from.${from}`, values) });
}

/// Everything that narrows a job, as a list of names and values.
export function WhatList({ tenant, what }) {
  const endpoint = (id) => html`<${IdText} value=${id} href=${endpointPath(tenant, id)} />`;
  const rows = [
    ['event', what.event && html`<${IdText} value=${what.event} href=${eventPath(tenant, what.event)} />`],
    ['delivery', what.delivery && html`<${IdText} value=${what.delivery} href=${deliveryPath(tenant, what.delivery)} />`],
    ['deliveries', what.deliveries && html`<${Names} values=${what.deliveries} />`],
    ['call_id', what.call_id && html`<${IdText} value=${what.call_id} href=${callPath(tenant, what.call_id)} />`],
    ['endpoint', what.endpoint && endpoint(what.endpoint)],
    ['endpoints', what.endpoints && html`<ul class="plain-list">${what.endpoints.map((id) => html`<li key=${id}>${endpoint(id)}</li>`)}</ul>`],
    ['to', what.to && endpoint(what.to)],
    ['event_types', what.event_types && html`<${Names} values=${what.event_types} />`],
    ['agents', what.agents && html`<${Names} values=${what.agents} />`],
    // A job that was not narrowed by time begins at the beginning of time: not worth a line.
    ['since', what.since && !what.since.startsWith('1970-') && html`<${Time} at=${what.since} mode="exact" />`],
    ['until', what.until && html`<${Time} at=${what.until} mode="exact" />`],
    ['state', what.state && html`<${State} state=${what.state} />`],
    ['reason', what.reason && html`<${IdText} value=${what.reason} />`],
  ];
  return html`<${KeyValue} items=${rows.map(([name, value]) => [t(`replays.field.${name}`), value || null])} />`;
}

/// What is left to say beside the bar: what it waits for, how long, what came of it.
function progressText(job) {
  if (job.dry_run && isOver(job)) return t('replays.progress.counted', { n: job.total });
  if (job.state === 'counting' || !job.counted) return t('replays.progress.counting', { n: job.total });
  if (job.state === 'pending') return t('replays.progress.pending', { n: job.total });
  if (job.state === 'paused') return t('replays.progress.paused', { n: job.total - met(job) });
  const came = job.state === 'done' && job.what.action === 'discard' ? 'discarded' : job.state;
  return t(`replays.progress.${came}`, { n: job.done, total: number(job.total) });
}

/// The bar of a job with its sentence. `aria-live`: it changes while somebody listens.
export function JobProgress({ job }) {
  const isBar = job.counted && !job.dry_run && job.total > 0;
  return html`<div class="job-progress">
    ${isBar && html`<${Progress} done=${met(job)} total=${job.total} left_s=${isOver(job) ? null : job.seconds_left} />`}
    <p aria-live="polite">${progressText(job)}</p>
    ${job.error && html`<${Notice} kind="bad"><span lang="en" dir="auto">${job.error}</span><//>`}
  </div>`;
}

/// Pause, resume, cancel: what can be done to a job just now.
export function JobOrders({ tenant, job, onChanged }) {
  const [busy, setBusy] = useState(null);
  const [isCanceling, setIsCanceling] = useState(false);
  const [error, setError] = useState(null);
  const toast = useToast();
  if (isOver(job)) return null;
  const order = async (name) => {
    setBusy(name);
    setError(null);
    try {
      await orderJob(tenant, job.id, name);
      toast(t(`replays.ordered.${name}`));
      onChanged();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(null);
      setIsCanceling(false);
    }
  };
  const isDiscard = job.what.action === 'discard';
  return html`<div class="row">
    ${job.state === 'paused'
      ? html`<${Button} kind="primary" busy=${busy === 'resume'} onClick=${() => order('resume')}>${t('replays.resume')}<//>`
      : html`<${Button} kind="plain" busy=${busy === 'pause'} onClick=${() => order('pause')}>${t('replays.pause')}<//>`}
    <${Button} busy=${busy === 'cancel'} onClick=${() => setIsCanceling(true)}>${t('replays.cancel')}<//>
    ${isCanceling && html`<${Confirm} title=${t('replays.cancel_title')} action=${t('replays.cancel_now')} keep=${t('replays.cancel_not')}
      text=${t(isDiscard ? 'replays.cancel_discard_text' : 'replays.cancel_text')}
      onClose=${() => setIsCanceling(false)} onConfirm=${() => order('cancel')} />`}
    ${error && html`<${ErrorBox} error=${error} />`}
  </div>`;
}

/// A job on another page: what it does, how far it is, and its orders. `onClose` puts it away.
export function JobPanel({ tenant, id, readOnly, onOver, onClose }) {
  const { job, error, reload } = useJob(tenant, id, onOver);
  const away = html`<${Button} onClick=${onClose}>${t('replays.put_away')}<//>`;
  if (!job) {
    return html`<${Card} title=${t('replays.job')} actions=${error && away}>
      ${error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : html`<${Loading} rows=${2} />`}<//>`;
  }
  return html`<${Card} title=${html`<bdi>${describe(job.what)}</bdi>`} actions=${html`<${State} state=${job.state} />`}>
    <${JobProgress} job=${job} />
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    <div class="row">
      ${!readOnly && html`<${JobOrders} tenant=${tenant} job=${job} onChanged=${reload} />`}
      <${Link} href=${replayPath(tenant, job.id)}>${t('replays.details')}<//>
      ${isOver(job) && job.done > 0 && !job.dry_run && job.what.action !== 'discard' && html`<${Link}
        href=${withQuery(deliveriesPath(tenant), { endpoint: job.what.to ?? job.what.endpoint })}>${t('replays.see_deliveries')}<//>`}
      ${isOver(job) && away}
    </div>
  <//>`;
}
