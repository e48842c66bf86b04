// The body of a delivery's request, byte for byte as it is sent: built from the event as it is stored. It is hostile text.
import { html } from '../../lib/preact.js';
import { ErrorBox, Loading, useAsync } from '../../lib/ui.js';
import { Json } from '../../lib/json.js';
import { readTenant, readWholeEvent } from './requests.js';
import { bodyOf } from './profile-bodies.js';

/** `{event, body}`: the stored event, and what is sent of it to an endpoint. */
export async function readBody(tenant, { profile, payload }, id, signal) {
  const [{ data: event, text: eventText }, settings] = await Promise.all([
    readWholeEvent(tenant, id, signal), profile === 'voicehub' ? readTenant(tenant, signal) : null]);
  const analysisUrl = settings?.analysis_url ?? null;
  return { event, body: bodyOf(profile, { tenant, event, eventText, origin: location.origin, payload, analysisUrl }) };
}

export function SentBody({ tenant, event, endpoint }) {
  const { data, error, reload } = useAsync(({ signal }) => readBody(tenant, endpoint, event, signal), [tenant, endpoint.id, event]);
  if (error) return html`<${ErrorBox} error=${error} onRetry=${reload} />`;
  return data ? html`<${Json} text=${data.body} />` : html`<${Loading} rows=${3} />`;
}
