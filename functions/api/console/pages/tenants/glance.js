// How a tenant is, in one request: the deliveries of its last 24 hours. Tells nothing of single deliveries.
import { api, tenantApi } from '../../lib/api.js';

/** The statistics' sum of the last 24 hours: `{matched, succeeded, dead, held, retrying, success_rate, ..}`. */
export const glance = async (tenant, signal) => (await api('GET', tenantApi(tenant, 'statistics'), { signal })).total;

/** What is the matter with a tenant, the gravest first: `held`, `dead` or `retrying` deliveries; `null`: nothing. */
export const matterOf = (total) => ['held', 'dead', 'retrying'].find((state) => total[state] > 0) ?? null;

/** True if somebody should look at the tenant: what is being retried may pass. */
export const troubleOf = (total) => Boolean(total) && (total.held > 0 || total.dead > 0);
