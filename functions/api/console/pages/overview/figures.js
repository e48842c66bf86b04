// From the API's statistics to what charts and figures show. Pure: no requests, no rendering. What the API did not count is
// never filled in: a slot without events is empty, a latency that nobody measured is `null`.

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The stretches that a page shows: how long, and how much one slot of a chart holds. */
export const RANGES = {
  '1h': { lengthMs: HOUR_MS, slotMs: 5 * MINUTE_MS },
  '24h': { lengthMs: DAY_MS, slotMs: HOUR_MS },
  '7d': { lengthMs: 7 * DAY_MS, slotMs: 6 * HOUR_MS },
  '30d': { lengthMs: 30 * DAY_MS, slotMs: DAY_MS },
};

const USUAL_RANGE = '24h';

/** The range that a page's address asks for. */
export const rangeOf = (text) => (Object.hasOwn(RANGES, text ?? '') ? text : USUAL_RANGE);

/** The stretch that ends now, as the API takes it; in steps of less than an hour where slots are shorter. */
export function stretch(range, now) {
  const { lengthMs, slotMs } = RANGES[range];
  const step = slotMs < HOUR_MS ? { step_s: slotMs / 1000 } : {};
  return { since: new Date(now - lengthMs).toISOString(), until: new Date(now).toISOString(), ...step };
}

const COUNTS = ['matched', 'succeeded', 'dead', 'canceled', 'queued', 'retrying', 'held', 'attempts'];

/** The slots of a stretch, oldest first, each with what was counted in it. Slots begin at full hours of the reader's zone. */
export function slotsOf(statistics, range, now) {
  const { lengthMs } = RANGES[range];
  const steps = stepsOf(statistics);
  // Steps that are longer than a slot cannot be split: then a step is a slot.
  const slotMs = Math.max(RANGES[range].slotMs, steps.length > 0 ? steps[0].lengthMs : 0);
  const slots = startsOf(now - lengthMs, now, slotMs).map((at) => emptySlot(at, slotMs));
  let at = 0;
  for (const step of steps) {
    // Both are in the order of time.
    while (at + 1 < slots.length && slots[at + 1].at <= step.at) at += 1;
    if (step.at >= slots[0].at) add(slots[at], step);
  }
  return slots.map(finished);
}

/** Where slots begin, by the clock of the reader's zone: a day is a day also when it has 23 hours or 25. */
function startsOf(since, now, slotMs) {
  const next = new Date(since);
  const units = slotMs / MINUTE_MS;
  const into = (next.getHours() * 60 + next.getMinutes()) % units;
  next.setMinutes(next.getMinutes() - into, 0, 0);
  const starts = [];
  while (next.getTime() <= now) {
    starts.push(next.getTime());
    // By the clock for whole days; shorter slots are as long as they are, over a change of the clock too.
    if (slotMs === DAY_MS) next.setDate(next.getDate() + 1);
    else next.setTime(next.getTime() + slotMs);
  }
  return starts;
}

function emptySlot(at, lengthMs) {
  return { at, lengthMs, live: false, complete: true, latencies: [], ...Object.fromEntries(COUNTS.map((name) => [name, 0])) };
}

function add(slot, step) {
  for (const name of COUNTS) slot[name] += step[name] ?? 0;
  slot.live ||= step.live === true;
  slot.complete &&= step.complete !== false;
  if (step.p50Ms !== null) slot.latencies.push(step);
}

/** Percentiles do not add up: of several steps the p50 is the middle one, the p99 the worst. */
function finished({ latencies, ...slot }) {
  const concluded = slot.succeeded + slot.dead;
  const middles = latencies.map((step) => step.p50Ms).sort((a, b) => a - b);
  return {
    ...slot,
    successRate: concluded > 0 ? slot.succeeded / concluded : null,
    waiting: slot.queued + slot.retrying + slot.held,
    p50Ms: middles.length > 0 ? middles[Math.floor(middles.length / 2)] : null,
    p99Ms: latencies.length > 0 ? Math.max(...latencies.map((step) => step.p99Ms ?? step.p50Ms)) : null,
  };
}

function stepsOf({ hours, step_s: stepS }) {
  const lengthMs = (stepS ?? HOUR_MS / 1000) * 1000;
  return hours.map((step) => ({ ...step, at: Date.parse(step.hour), lengthMs, ...latencyOf(step) }));
}

/** Milliseconds from acceptance to success. */
export const latencyOf = (counts) => ({ p50Ms: counts.latency_p50_ms ?? null, p99Ms: counts.latency_p99_ms ?? null });

/** True if any slot says that it could not count all. */
export const isCut = (slots) => slots.some((slot) => !slot.complete);
