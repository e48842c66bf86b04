// What happened on a call, put together from its events and its timeline: what did not arrive and why, and where everything
// lies on one axis of time. Pure.
import { arrivals, goesAt } from './states.js';

/** Event types that move a call from one party to another. */
const TRANSFERS = /^(transfer\.|call\.transferred$)/;
/** Parts of the axis where there is room: no two labels are nearer to each other than one. */
const LABELS = 6;
const SECOND_MS = 1000;

export const isTransfer = (type) => TRANSFERS.test(type);

const millis = (at) => Date.parse(at);

/** The latest attempt of each delivery, by its id. */
export function lastAttempts(items) {
  const last = new Map();
  for (const item of items) {
    if (item.kind === 'attempted' && (last.get(item.delivery)?.n ?? 0) <= item.n) last.set(item.delivery, item);
  }
  return last;
}

/** When deliveries that wait go on, by id. */
function nextMoments(items) {
  const next = new Map();
  for (const item of items) {
    if (item.delivery && item.next_at) next.set(item.delivery, item.next_at);
  }
  return next;
}

/**
 * What has not arrived, by endpoint and state, the given up first. Each: `{endpoint, state, reason, deliveries}` with
 * `{id, event, event_type, accepted_at, state, reason, attempts, last, next_at}`. What was erased is no loss to anybody.
 */
export function unarrived(events, items) {
  const last = lastAttempts(items);
  const next = nextMoments(items);
  const groups = new Map();
  for (const event of events) {
    for (const at of arrivals(event.states)) {
      if (!['dead', 'held', 'retrying', 'canceled'].includes(at.state) || at.reason === 'erased') continue;
      const key = `${at.state}/${at.endpoint}/${at.reason ?? ''}`;
      const group = groups.get(key) ?? { key, endpoint: at.endpoint, state: at.state, reason: at.reason, deliveries: [] };
      group.deliveries.push({
        id: at.delivery, event: event.id, event_type: event.type, accepted_at: event.accepted_at, endpoint: at.endpoint, state: at.state, reason: at.reason,
        attempts: at.attempts, last: last.get(at.delivery) ?? null, next_at: next.get(at.delivery) ?? null,
      });
      groups.set(key, group);
    }
  }
  const order = ['dead', 'held', 'retrying', 'canceled'];
  return [...groups.values()].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
}

/** Events that no endpoint wanted when they were accepted. */
export const unwanted = (events) => events.filter((event) => event.deliveries === 0);

/** How all deliveries of a call stand: `{succeeded: 3, dead: 1, ..}`. */
export function standing(events) {
  const counts = {};
  for (const event of events) {
    for (const { state } of arrivals(event.states)) counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}

/** The items of one endpoint, and those of the events themselves. */
export const ofEndpoint = (items, endpoint) =>
  (endpoint ? items.filter((item) => !item.endpoint || item.endpoint === endpoint) : items);

/**
 * A position, 0 to 1, for every moment. A wait counts by its logarithm: seconds of a call and hours of retries fit on one axis,
 * in their order.
 */
export function scaleOf(moments) {
  const sorted = [...new Set(moments)].sort((a, b) => a - b);
  const places = new Map();
  let sum = 0;
  for (const [at, moment] of sorted.entries()) {
    if (at > 0) sum += Math.log2(1 + (moment - sorted[at - 1]) / SECOND_MS);
    places.set(moment, sum);
  }
  return { sorted, place: (moment) => (sum === 0 ? 0.5 : places.get(moment) / sum) };
}

function labels({ sorted, place }, most) {
  const kept = [];
  for (const moment of sorted) {
    const before = kept[kept.length - 1];
    if (before === undefined || place(moment) - place(before) >= 1 / most) kept.push(moment);
  }
  return kept.map((moment) => ({ moment, x: place(moment) }));
}

/** The mark that an item makes, or `null`: states follow from attempts, and acceptance from what happened. */
function markOf(item, occurred) {
  if (item.kind === 'occurred' || (item.kind === 'accepted' && !occurred.has(item.event))) {
    return { lane: isTransfer(item.event_type) ? 'transfers' : 'events', shape: 'event', moment: millis(item.at) };
  }
  if (item.kind === 'attempted') {
    return { lane: item.endpoint, shape: item.code === 'ok' ? 'ok' : 'failed', moment: millis(item.at) };
  }
  if (item.kind === 'replay_asked') return { lane: item.endpoint, shape: 'asked', moment: millis(item.at) };
  const next = goesAt({ ...item, state: item.kind });
  if (next) return { lane: item.endpoint, shape: 'next', moment: millis(next) };
  return null;
}

/** `{lanes: [{key, marks: [{x, shape, item, index}]}], labels}`, at most `most` labels; `null` if nothing has a time. */
export function chartOf(items, most = LABELS) {
  const occurred = new Set(items.filter((item) => item.kind === 'occurred').map((item) => item.event));
  const marks = items.map((item, index) => ({ ...markOf(item, occurred), item, index })).filter((mark) => mark.lane);
  if (marks.length === 0) return null;
  const scale = scaleOf(marks.map((mark) => mark.moment));
  const lanes = new Map([['events', []], ['transfers', []]]);
  for (const mark of marks) {
    if (!lanes.has(mark.lane)) lanes.set(mark.lane, []);
    lanes.get(mark.lane).push({ ...mark, x: scale.place(mark.moment) });
  }
  return {
    lanes: [...lanes].map(([key, ofLane]) => ({ key, marks: ofLane })).filter((lane) => lane.marks.length > 0),
    labels: labels(scale, most),
  };
}
