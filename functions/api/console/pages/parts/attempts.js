// The attempts of a delivery in full: what came of each, why and when the next, what was answered, what was sent, how long it
// took. What receivers answered is hostile text: shown as text, never as anything else.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Time, bytes, duration, exact } from '../../lib/format.js';
import { Code, Empty, KeyValue, State } from '../../lib/ui.js';
import { Json } from '../../lib/json.js';
import { AttemptSaid } from './attempt-said.js';
import { SentBody } from './sent-body.js';
import { adviceText, lastAttempt, outcomeText } from './states.js';
import { Unfold } from './unfold.js';

/** Bytes of an answer that the API keeps at most: a longer one was cut. */
const MOST_RESPONSE_BYTES = 16 * 1024;
const SECOND_MS = 1000;

const sizeOf = (text) => new TextEncoder().encode(text).length;

function isDocument(text) {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const beganAt = (attempt) => new Date(Date.parse(attempt.at) - attempt.duration_ms);

function Part({ title, children }) {
  return html`<section class="attempt-part"><p class="part-title">${title}</p>${children}</section>`;
}

/** What the receiver answered, as far as it was kept. */
function Answer({ attempt }) {
  const { status, response: body } = attempt;
  if (status == null) return html`<p class="muted">${t('deliveries.attempt.no_answer')}</p>`;
  const size = body == null ? 0 : sizeOf(body);
  return html`<p>${t('deliveries.attempt.status')} <strong class="mono" dir="ltr">${String(status)}</strong>
      ${body != null && html` <span class="muted">· ${bytes(size)}</span>`}</p>
    ${body == null && html`<p class="muted">${t('deliveries.attempt.no_body')}</p>`}
    ${body != null && (isDocument(body)
      ? html`<${Json} text=${body} />`
      : html`<${Code} text=${body} wrap label=${t('deliveries.attempt.body')} />`)}
    ${size >= MOST_RESPONSE_BYTES && html`<p class="small muted">${t('deliveries.attempt.cut')}</p>`}`;
}

/** What was sent: the URL as it is now, and what tells this request from others. */
function Sent({ tenant, attempt, delivery, endpoint }) {
  if (endpoint === null) return html`<p class="muted">${t('deliveries.attempt.endpoint_gone')}</p>`;
  const headers = [
    ['content-type', 'application/json'],
    ['webhook-id', delivery.event],
    ['webhook-timestamp', `≈ ${Math.floor(beganAt(attempt).getTime() / SECOND_MS)}`],
  ];
  return html`<div dir="ltr" class="stack stack-tight">
      ${endpoint && html`<p class="sent-url"><code class="mono">POST <bdi>${endpoint.url}</bdi></code></p>`}
      <${KeyValue} items=${headers.map(([name, value]) => [
      html`<code class="mono">${name}</code>`, html`<bdi class="mono">${value}</bdi>`])} /></div>
    ${endpoint && html`<${Unfold} class="headers" summary=${t('deliveries.attempt.sent_body')}
      body=${() => html`<${SentBody} tenant=${tenant} event=${delivery.event} endpoint=${endpoint} />`} />`}
    <p class="small muted">${t('deliveries.attempt.request_note')}</p>`;
}

/** How long it took, against the time that the endpoint has to answer. */
function Timings({ attempt, endpoint }) {
  const share = endpoint ? Math.min(1, attempt.duration_ms / endpoint.timeout_ms) : null;
  const took = endpoint
    ? t('deliveries.attempt.of_timeout', { took: duration(attempt.duration_ms), timeout: duration(endpoint.timeout_ms) })
    : duration(attempt.duration_ms);
  return html`<${KeyValue} items=${[
      [t('deliveries.attempt.began'), exact(beganAt(attempt))],
      [t('deliveries.attempt.ended'), exact(attempt.at)],
      [t('deliveries.attempt.took'), took],
    ]} />
    ${share != null && html`<svg class="took" viewBox="0 0 100 3" preserveAspectRatio="none" aria-hidden="true">
      <rect class="took-all" width="100" height="3" />
      <rect class=${attempt.code === 'ok' ? 'took-ok' : 'took-failed'} width=${Math.max(1, share * 100)} height="3" />
    </svg>`}`;
}

/** One attempt: its outcome and what follows in one line, the exchange below. */
function Attempt({ tenant, attempt, delivery, endpoint, isOpen }) {
  const advice = adviceText(attempt);
  const isOk = attempt.code === 'ok';
  const summary = html`<span class="attempt-n">${t('deliveries.attempt.n', { n: attempt.n })}</span>
    <${State} state=${isOk ? 'succeeded' : 'failed'} label=${outcomeText(attempt)} />
    <span class="muted small">${duration(attempt.duration_ms)} · <${Time} at=${attempt.at} /></span>`;
  return html`<${Unfold} class="attempt" isOpen=${isOpen} summary=${summary} body=${() => html`<div class="stack attempt-body">
      <p class="attempt-next"><${AttemptSaid} attempt=${attempt} delivery=${delivery} /></p>
      ${advice && html`<p class="advice">${advice}</p>`}
      <${Part} title=${t('deliveries.attempt.response')}><${Answer} attempt=${attempt} /><//>
      <${Part} title=${t('deliveries.attempt.request')}>
        <${Sent} tenant=${tenant} attempt=${attempt} delivery=${delivery} endpoint=${endpoint} /><//>
      <${Part} title=${t('deliveries.attempt.timings')}><${Timings} attempt=${attempt} endpoint=${endpoint} /><//>
    </div>`} />`;
}

/**
 * All attempts, the last one first and open if it failed. `endpoint` is undefined while it is not known, null if it is gone.
 */
export function Attempts({ tenant, delivery, endpoint }) {
  const attempts = [...delivery.attempts].reverse();
  if (attempts.length === 0) {
    const isQueued = delivery.state === 'queued';
    return html`<${Empty} icon="clock" title=${t(isQueued ? 'deliveries.attempts.queued' : 'deliveries.attempts.none')}
      text=${t(isQueued ? 'deliveries.attempts.queued_text' : 'deliveries.attempts.none_text')} />`;
  }
  const last = lastAttempt(delivery);
  return html`<ol class="attempts" reversed>${attempts.map((attempt) => html`<li key=${attempt.n}>
    <${Attempt} tenant=${tenant} attempt=${attempt} delivery=${delivery} endpoint=${endpoint}
      isOpen=${attempt === last && attempt.code !== 'ok'} /></li>`)}</ol>`;
}
