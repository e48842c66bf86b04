// Changes of an endpoint's state. Each names the version that was looked at: if somebody else was faster, the API refuses and says so.
import { useState } from '../../lib/preact.js';
import { api, errorText, tenantApi } from '../../lib/api.js';
import { useToast } from '../../lib/ui.js';

/** `"7"`, as the header `ETag` has it. */
export const etagOf = (endpoint) => `"${endpoint.version}"`;

/** `POST .../{pause|resume|activate}` of the version that was looked at. */
export const order = (tenant, endpoint, name, body) =>
  api('POST', tenantApi(tenant, 'endpoints', endpoint.id, name), { body, ifMatch: etagOf(endpoint) });

/** Asks once, says that it is done, or why it is not. */
export function useOrder(give, done, onDone) {
  const [error, setError] = useState(null);
  const toast = useToast();
  const ask = async () => {
    setError(null);
    try {
      const answer = await give();
      toast(done);
      onDone(answer);
    } catch (failure) {
      setError(errorText(failure));
    }
  };
  return { ask, error };
}
