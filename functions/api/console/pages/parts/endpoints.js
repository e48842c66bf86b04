// The endpoints of a tenant as something to choose from. Reads only.
import { all, api } from '../../lib/api.js';
import { useAsync } from '../../lib/ui.js';
import { inTenant } from './texts.js';

/// All endpoints of a tenant: at most 200.
export const useEndpoints = (tenant) =>
  useAsync(({ signal }) => all(inTenant(tenant, 'endpoints'), {}, { signal }), [tenant]);

/// Options of a `Select`; `none` is the first one, for no endpoint; `chosen` is among them, also if it was deleted since.
export function endpointOptions(endpoints, none, chosen) {
  const named = (endpoints ?? []).map(({ id, url, description }) => ({ value: id, label: description ? `${description} (${url})` : url }));
  const isMissing = chosen && !named.some(({ value }) => value === chosen);
  return [...(none == null ? [] : [{ value: '', label: none }]), ...named, ...(isMissing ? [{ value: chosen, label: chosen }] : [])];
}

/// `POST .../endpoints/{endpoint}/test`: sends a sample now and answers with the whole exchange.
export const sendSample = (tenant, endpoint, sample) =>
  api('POST', inTenant(tenant, 'endpoints', endpoint, 'test'), { body: sample });
