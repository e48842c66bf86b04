// What the states, reasons and codes of deliveries mean to a reader. No request, nothing shown.
import { has, t } from '../../lib/i18n.js';

export const STATES = ['queued', 'retrying', 'held', 'succeeded', 'dead', 'canceled'];
/** Why deliveries are held, dead and canceled. */
export const REASONS = {
  held: ['endpoint_failing', 'endpoint_paused', 'endpoint_disabled', 'endpoint_inactive', 'endpoint_slow', 'retries_full',
    'rate_limited', 'operational_event'],
  dead: ['attempts_exhausted', 'gone', 'blocked', 'event_missing', 'record_expired'],
  canceled: ['discarded', 'endpoint_deleted', 'erased'],
};

/** States after which nothing happens by itself any more. */
const CONCLUDED = new Set(['succeeded', 'dead', 'canceled']);
/** Reasons for which a delivery waits until its endpoint is delivered to again. */
const OF_ENDPOINT = new Set(['endpoint_failing', 'endpoint_paused', 'endpoint_disabled', 'endpoint_inactive']);

export const isConcluded = (state) => CONCLUDED.has(state);
export const waitsForEndpoint = (delivery) => delivery.state === 'held' && OF_ENDPOINT.has(delivery.reason);

/** True if deliveries go to an endpoint now. */
export const isDelivered = (endpoint) => endpoint?.state === 'active' && !endpoint.hold;

/**
 * Why a delivery waits for its endpoint, as that is now, and since when if that is known. `kind`: `failing`, `paused`, `disabled` or
 * `inactive`; or what comes when it is delivered to again: `recovering`, or `kept` if somebody chose so.
 */
export function holdOf(delivery, endpoint) {
  if (isDelivered(endpoint)) {
    const isKept = Boolean(endpoint.kept_until) && Date.parse(delivery.accepted_at) < Date.parse(endpoint.kept_until);
    return { kind: isKept ? 'kept' : 'recovering', since: null };
  }
  if (endpoint?.hold) return { kind: 'failing', since: endpoint.hold.since };
  // One that was never tried is held since it came; of others that moment is not told.
  const since = delivery.attempts.length === 0 ? delivery.accepted_at : null;
  return { kind: endpoint?.state ?? delivery.reason.replace('endpoint_', ''), since };
}

/** When a delivery that waits goes on by the clock; `null` where it waits for its endpoint: then its moment is only the earliest. */
export const goesAt = (delivery) => (['retrying', 'held'].includes(delivery.state) && !waitsForEndpoint(delivery)
  ? delivery.next_at ?? delivery.due_at ?? null : null);

/* messages: deliveries.reason.* deliveries.outcome.* deliveries.advice.* */

/** Why a delivery is held, dead or canceled, in a sentence; the code itself if a later release made it up. */
export function reasonText(reason) {
  if (!reason) return '';
  const key = `deliveries.reason.${reason}`;
  return has(key) ? t(key) : reason;
}

/** What came of an attempt, in a few words. */
export function outcomeText(attempt) {
  if (attempt.status != null) return t('deliveries.outcome.status', { status: String(attempt.status) });
  const key = `deliveries.outcome.${attempt.code}`;
  return has(key) ? t(key) : attempt.code;
}

/** What to mend after a failed attempt; empty after a success, and where nothing can be said. */
export function adviceText(attempt) {
  if (attempt.code === 'ok') return '';
  const ofServer = attempt.status >= 500 ? '5xx' : 'any';
  const candidates = attempt.code === 'http_error' ? [attempt.status, ofServer] : [attempt.code];
  const known = candidates.map((name) => `deliveries.advice.${name}`).find(has);
  return known ? t(known) : '';
}

/** The last attempt that was made, or `null`. */
export const lastAttempt = (delivery) => delivery.attempts[delivery.attempts.length - 1] ?? null;

/**
 * What became of an event at each of its endpoints: the latest delivery, or the one that arrived. `deliveries` are of one
 * event, the first ones before their replays.
 */
export function arrivals(deliveries) {
  const byEndpoint = new Map();
  for (const delivery of deliveries) {
    if (byEndpoint.get(delivery.endpoint)?.state !== 'succeeded') byEndpoint.set(delivery.endpoint, delivery);
  }
  return [...byEndpoint.values()];
}
