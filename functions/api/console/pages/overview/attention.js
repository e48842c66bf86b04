// What of a tenant needs somebody, or is being worked on by itself, the most urgent first, each with the next step. Pure: it judges
// what the API said and asks for nothing. A thing is named once: an endpoint on hold is not named again as failing.
import { isRecovering } from '../endpoint/look.js';

/** Backlogs of paused endpoints below this are somebody's intention; nobody need be told. */
const PAUSED_WORTH_TELLING = 1;
/** Below this share of successes the tenant as a whole is worth a look, although no endpoint stands out. */
const LOW_SUCCESS = 0.95;
/** Fewer concluded deliveries say nothing about a share. */
const ENOUGH_CONCLUDED = 20;

/** Kinds that say that something waits. */
const WAIT = ['held', 'retrying', 'paused', 'recovering', 'disabled', 'failing'];

const URGENCY = ['disabled', 'held', 'failing', 'dead', 'retrying', 'paused', 'recovering', 'waiting', 'low', 'inactive'];

/**
 * @param endpoints as the API lists them
 * @param healthOf  an endpoint's health by id; missing where it was not asked for
 * @param dead      `GET .../dead-letters/counts?by=endpoint`
 * @param total     the sum of the statistics
 * @param isKnown   false if the deliveries that wait could not be looked through: then the statistics say that there are some
 */
export function attention({ endpoints, healthOf, dead, total, isKnown = true }) {
  const found = endpoints.flatMap((endpoint) => ofEndpoint(endpoint, healthOf[endpoint.id]));
  if (dead && dead.count > 0) {
    const worst = dead.counts.find((counts) => counts.by === 'endpoint')?.values[0];
    found.push({ kind: 'dead', n: dead.count, atLeast: dead.at_least, worst: worst?.value ?? null });
  }
  const waiting = isKnown || !total ? 0 : total.retrying + total.held;
  if (waiting > 0 && !found.some(({ kind }) => WAIT.includes(kind))) found.push({ kind: 'waiting', n: waiting });
  const concluded = total ? total.succeeded + total.dead : 0;
  if (found.length === 0 && concluded >= ENOUGH_CONCLUDED && total.success_rate < LOW_SUCCESS) {
    found.push({ kind: 'low', rate: total.success_rate });
  }
  return found.sort((a, b) => URGENCY.indexOf(a.kind) - URGENCY.indexOf(b.kind) || (b.n ?? 0) - (a.n ?? 0));
}

function ofEndpoint(endpoint, health) {
  const waiting = health?.held.count ?? 0;
  const about = { endpoint, health, n: waiting, atLeast: health?.held.at_least ?? false };
  if (endpoint.state === 'disabled') return [{ kind: 'disabled', ...about }];
  if (endpoint.hold) return [{ kind: 'held', ...about }];
  if (endpoint.state === 'paused') return waiting >= PAUSED_WORTH_TELLING ? [{ kind: 'paused', ...about }] : [];
  if (endpoint.state === 'inactive') return [{ kind: 'inactive', ...about }];
  if (health?.state === 'failing') return [{ kind: 'failing', ...about, n: health.failures_in_row }];
  if (isRecovering(endpoint, health)) return [{ kind: 'recovering', ...about }];
  const { count = 0, at_least: atLeast = false } = health?.retrying ?? {};
  if (count > 0) return [{ kind: 'retrying', ...about, n: count, atLeast }];
  return waiting > 0 ? [{ kind: 'waiting', ...about }] : [];
}

/** What waits now, in numbers: `endpoints` with deliveries that are being retried, how many these are, and how many are held. */
export function waitingOf(healthOf) {
  const known = Object.values(healthOf).filter(Boolean);
  const sum = (state) => known.reduce(({ count, atLeast }, health) => ({ count: count + health[state].count, atLeast: atLeast || health[state].at_least }),
    { count: 0, atLeast: false });
  return { endpoints: known.filter((health) => health.retrying.count > 0).length, retrying: sum('retrying'), held: sum('held') };
}

/**
 * The endpoints whose health decides what is told: those in trouble, and those for which deliveries wait just now. If `deliveries` are
 * not all that wait, any may have some: then the others come after these.
 */
export function worthAsking(endpoints, deliveries, most, isWhole = true) {
  const waited = new Set(deliveries.map((delivery) => delivery.endpoint));
  const isWorth = (endpoint) => endpoint.hold || ['disabled', 'paused'].includes(endpoint.state) || waited.has(endpoint.id);
  const others = isWhole ? [] : endpoints.filter((endpoint) => !isWorth(endpoint) && endpoint.state !== 'inactive');
  return [...endpoints.filter(isWorth), ...others].slice(0, most).map((endpoint) => endpoint.id);
}
