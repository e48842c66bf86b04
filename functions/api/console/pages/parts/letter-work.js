// The two dialogs of dead letters: redrive and discard. Both count first, by a dry run, and do exactly what was counted: what
// died after the count is not among it. A discard wants a typed word.
import { html, useEffect, useState } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Time } from '../../lib/format.js';
import { Button, Dialog, ErrorBox, Field, KeyValue, Loading, Notice, TextInput } from '../../lib/ui.js';
import { isOver, useJob } from './replay-job.js';
import { Id, inTenant } from './texts.js';

/// What a redrive makes a second at most if nobody says.
const USUAL_RATE = 100;
/// Fastest that can be asked for, deliveries a second.
const MOST_RATE = 500;

/// Which letters, as the API wants them: named, or let through by the filters.
const wish = (filters, deliveries) => (deliveries.length > 0 ? { deliveries } : filters);

/// Counts by a dry run, which may take a while: `{count, error}`, the count `null` until it is whole.
function useCount(tenant, action, chosen) {
  const [asked, setAsked] = useState({ job: null, error: null });
  const { job, error } = useJob(tenant, asked.job && !isOver(asked.job) ? asked.job.id : null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setAsked({ job: null, error: null });
    api('POST', inTenant(tenant, 'dead-letters', action), { body: { ...chosen, dry_run: true }, signal: stop.signal })
      .then((made) => { if (!stop.signal.aborted) setAsked({ job: made, error: null }); })
      .catch((failure) => { if (!stop.signal.aborted) setAsked({ job: null, error: failure }); });
    return () => stop.abort();
  }, [round]);
  const latest = job ?? asked.job;
  const isFailed = latest?.state === 'failed' || latest?.state === 'canceled';
  return {
    count: latest && isOver(latest) && !isFailed ? latest : null,
    sofar: latest?.total ?? 0,
    // A look that failed is tried again by itself.
    error: asked.error ?? (latest ? null : error),
    failed: isFailed ? latest.error ?? latest.state : null,
    again: () => setRound((n) => n + 1),
  };
}

function Rate({ rate, setRate, error }) {
  return html`<${Field} label=${t('dead-letters.rate')} hint=${t('dead-letters.rate_hint', { n: USUAL_RATE, most: MOST_RATE })} error=${error}>
    <${TextInput} type="number" inputmode="numeric" min="1" max=${MOST_RATE} value=${rate} placeholder=${String(USUAL_RATE)}
      mono onInput=${setRate} /><//>`;
}

function Counted({ action, count }) {
  if (count.total === 0) return html`<p>${t('dead-letters.nothing')}</p>`;
  return html`<p class="big">${t(`dead-letters.${action}_count`, { n: count.total })}</p>
    <p>${t(`dead-letters.${action}_text`)}</p>`;
}

/** `stalled`: how many of their endpoints take no deliveries now. */
export function LetterWork({ tenant, action, filters, deliveries, stalled, onClose, onStarted }) {
  const chosen = wish(filters, deliveries);
  const { count, sofar, error, failed, again } = useCount(tenant, action, chosen);
  const [rate, setRate] = useState('');
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const isDiscard = action === 'discard';
  const perSecond = rate === '' ? null : Number(rate);
  const isRateWrong = perSecond != null && !(Number.isInteger(perSecond) && perSecond >= 1 && perSecond <= MOST_RATE);
  const isReady = count?.total > 0 && !isRateWrong && (!isDiscard || typed.trim() === tenant);

  const start = async () => {
    if (!isReady || busy) return;
    setBusy(true);
    setFailure(null);
    // The count's own end: what dies from now on was not counted, and is not touched.
    const until = deliveries.length > 0 || !count.what.until ? {} : { until: count.what.until };
    try {
      const body = { ...chosen, ...until, ...(perSecond == null ? {} : { rate: perSecond }) };
      onStarted(await api('POST', inTenant(tenant, 'dead-letters', action), { body }));
    } catch (problem) {
      setFailure(problem);
      setBusy(false);
    }
  };

  return html`<${Dialog} title=${t(`dead-letters.${action}_title`)} onClose=${onClose} onSubmit=${start} actions=${html`
      <${Button} kind="plain" onClick=${onClose}>${t('dead-letters.back')}<//>
      <${Button} kind=${isDiscard ? 'danger' : 'primary'} type="submit" busy=${busy} disabled=${!isReady}>
        ${count ? t(`dead-letters.${action}_now`, { n: count.total }) : t(`dead-letters.${action}_title`)}<//>`}>
    ${deliveries.length === 0 && html`<${Chosen} filters=${filters} />`}
    <div aria-live="polite" class="counting">
      ${error ? html`<${ErrorBox} error=${error} onRetry=${again} />`
        : failed ? html`<${Notice} kind="bad" title=${t('dead-letters.count_failed')}><bdi lang="en">${failed}</bdi><//>`
        : count ? html`<${Counted} action=${action} count=${count} />`
          : html`<p>${sofar > 0 ? t('dead-letters.counting_sofar', { n: sofar }) : t('dead-letters.counting')}</p><${Loading} rows=${1} />`}
    </div>
    ${count?.total > 0 && !isDiscard && stalled > 0 && html`<${Notice} kind="warn">${t('dead-letters.stalled', { n: stalled })}<//>`}
    ${count?.total > 0 && html`<${Rate} rate=${rate} setRate=${setRate} error=${isRateWrong ? t('dead-letters.rate_wrong', { most: MOST_RATE }) : null} />`}
    ${count?.total > 0 && isDiscard && html`<${Field} label=${t('dead-letters.type_to_discard', { tenant })}>
      <${TextInput} value=${typed} onInput=${setTyped} mono /><//>`}
    ${failure && html`<${ErrorBox} error=${failure} onRetry=${start} />`}
  <//>`;
}

/* messages: dead-letters.filter.* dead-letters.redrive_* dead-letters.discard_* */

/// What the filters let through, once more, where it is decided.
function Chosen({ filters }) {
  const names = Object.entries(filters);
  if (names.length === 0) return html`<p class="muted">${t('dead-letters.all_of_tenant')}</p>`;
  return html`<${KeyValue} items=${names.map(([name, value]) => [t(`dead-letters.filter.${name}`),
    name === 'since' || name === 'until' ? html`<${Time} at=${value} mode="exact" />` : html`<${Id} text=${value} />`])} />`;
}
