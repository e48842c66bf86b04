// The API calls of the pages about events, calls and deliveries: one function for each, as docs/openapi.json has them.
// Shows nothing, remembers nothing.
import { api, apiFull } from '../../lib/api.js';
import { filled, inTenant } from './texts.js';

/** Items of a page of a list: the most that the API gives. */
const MOST = 100;
/** Pages that are read to have a whole list: bounds what a call or an event with very many deliveries costs. */
const MOST_PAGES = 20;

/** A list to its end: its items, and whether there would have been more. */
async function whole(path, signal) {
  const items = [];
  let cursor = null;
  for (let n = 0; n < MOST_PAGES; n += 1) {
    const part = await api('GET', path, { query: filled({ limit: MOST, cursor }), signal });
    items.push(...part.items);
    cursor = part.next;
    if (!cursor) break;
  }
  return { items, more: Boolean(cursor) };
}

/** `{name, version, ingest, egress_addresses}`. */
export const readAbout = (signal) => api('GET', '/v1', { signal });

export const readTenant = (tenant, signal) => api('GET', inTenant(tenant), { signal });

export const readEvent = (tenant, event, signal) => api('GET', inTenant(tenant, 'events', event), { signal });

/** `{data, text}`: the event, and the answer as sent, as what is parsed loses how numbers are spelled. */
export const readWholeEvent = (tenant, event, signal) => apiFull('GET', inTenant(tenant, 'events', event), { signal });

/** All deliveries of an event, first ones and replays, with all attempts and answers. */
export const eventDeliveries = (tenant, event, signal) => whole(inTenant(tenant, 'events', event, 'deliveries'), signal);

export const eraseEvent = (tenant, event) => api('DELETE', inTenant(tenant, 'events', event));

export const eraseCall = (tenant, call) => api('DELETE', inTenant(tenant, 'calls', call));

export const readErasure = (tenant, erasure, signal) => api('GET', inTenant(tenant, 'erasures', erasure), { signal });

/** All events of a call, with the states of their deliveries. */
export const callEvents = (tenant, call, signal) => whole(inTenant(tenant, 'calls', call, 'events'), signal);

export const callTimeline = (tenant, call, signal) => whole(inTenant(tenant, 'calls', call, 'timeline'), signal);

export const readDelivery = (tenant, delivery, signal) =>
  api('GET', inTenant(tenant, 'deliveries', delivery), { signal });

export const readEndpoint = (tenant, endpoint, signal) =>
  api('GET', inTenant(tenant, 'endpoints', endpoint), { signal });

export const allEventTypes = (tenant, signal) => whole(inTenant(tenant, 'event-types'), signal);

/** Which endpoints an event would reach now, each with why or why not. */
export const dryRun = (tenant, event) => api('POST', inTenant(tenant, 'dry-run'), { body: { event } });

/** Asks for a replay: `{event}`, `{delivery}` or `{call_id, endpoint, state}`, each with `dry_run`. */
export const askReplay = (tenant, what) => api('POST', inTenant(tenant, 'replays'), { body: filled(what) });

/** Lets go what is held for an endpoint of events accepted in the very millisecond of `delivery`'s: it is released, not made anew. */
export const releaseHeld = (tenant, { endpoint, accepted_at: since }) => askReplay(tenant,
  { endpoint, since, until: new Date(Date.parse(since) + 1).toISOString(), state: 'held' });

/** Delivers a dead letter again, so that it leaves the list of dead letters. */
export const redriveOne = (tenant, delivery) =>
  api('POST', inTenant(tenant, 'dead-letters', 'redrive'), { body: { delivery } });

/** What is not there (any more) as `null`; every other failure stays one. */
export async function orNull(question) {
  try {
    return await question;
  } catch (error) {
    if (error.status === 404 || error.status === 410) return null;
    throw error;
  }
}
