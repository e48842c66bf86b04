// The addresses of the console's pages below a tenant.
import { path } from '../../lib/router.js';

const at = (tenant, ...segments) => path('t', tenant, ...segments);

export const eventsPath = (tenant) => at(tenant, 'events');
export const eventPath = (tenant, event) => at(tenant, 'events', event);
export const callPath = (tenant, call) => at(tenant, 'calls', call);
export const deliveriesPath = (tenant) => at(tenant, 'deliveries');
export const deliveryPath = (tenant, delivery) => at(tenant, 'deliveries', delivery);
export const endpointsPath = (tenant) => at(tenant, 'endpoints');
export const endpointPath = (tenant, endpoint) => at(tenant, 'endpoints', endpoint);
export const replayPath = (tenant, replay) => at(tenant, 'replays', replay);

/** A path with a query string of what is not empty. */
export function withQuery(path, query) {
  const kept = Object.entries(query).filter(([, value]) => value != null && value !== '');
  return kept.length === 0 ? path : `${path}?${new URLSearchParams(kept)}`;
}
