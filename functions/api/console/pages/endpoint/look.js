// One look at an endpoint: its health and its last success. Reads only.
import { api, tenantApi } from '../../lib/api.js';

export const readHealth = (tenant, endpoint, signal) => api('GET', tenantApi(tenant, 'endpoints', endpoint, 'health'), { signal });

/** The last success that is still stored; `null`: there is none. */
async function lastSuccess(tenant, endpoint, signal) {
  const query = { endpoint, state: 'succeeded', limit: 1 };
  const page = await api('GET', tenantApi(tenant, 'deliveries'), { query, signal });
  const attempts = page.items[0]?.attempts ?? [];
  return attempts.length > 0 ? attempts[attempts.length - 1].at : null;
}

/** `{health, lastSuccess}`. */
export async function lookAt(tenant, endpoint, signal) {
  const [health, success] = await Promise.all([readHealth(tenant, endpoint, signal), lastSuccess(tenant, endpoint, signal)]);
  return { health, lastSuccess: success };
}

/** The name of a state for people: deliveries are held, and their endpoint is on hold. */
export const named = (state) => (state === 'held' ? 'on_hold' : state);

/** Longest that what tells of other endpoints' troubles waits for its pass, in milliseconds: that alone is no backlog. */
const PASS_MS = 60_000;

/**
 * True if an endpoint answers again and what was held meanwhile is still to be delivered. What somebody kept back by choice, or
 * waits for a rate limit, is no recovery.
 */
export function isRecovering(endpoint, health, now = Date.now()) {
  if (health?.state !== 'healthy' || health.held.count === 0) return false;
  if (health.drain) return !health.drain.what?.action;
  const oldest = Date.parse(health.oldest_held_at);
  const isKept = Boolean(endpoint.kept_until) && oldest < Date.parse(endpoint.kept_until);
  return !isKept && endpoint.rate_limit === null && (health.last_failure !== null || now - oldest > PASS_MS);
}

/** How an endpoint is: what its health says, and until that is known what its own state says. */
export function stateOf(endpoint, health) {
  if (isRecovering(endpoint, health)) return 'recovering';
  if (health) return health.state;
  if (endpoint.hold) return 'held';
  return endpoint.state === 'active' ? 'healthy' : endpoint.state;
}
