// "Copy as curl": the request of a delivery as a command for a shell. Secrets are named, never filled in: what is copied here may
// be pasted anywhere.
import { html } from '../../lib/preact.js';
import { rich, t } from '../../lib/i18n.js';
import { Button, Code, Copy, Dialog, ErrorBox, Loading, useAsync } from '../../lib/ui.js';
import { readAbout } from './requests.js';
import { curlCommand, variablesOf } from './curl.js';
import { readBody } from './sent-body.js';

async function make(tenant, endpoint, id, signal) {
  const [{ version }, { event, body }] = await Promise.all([readAbout(signal), readBody(tenant, endpoint, id, signal)]);
  return curlCommand({ endpoint, event, body, version });
}

const names = (endpoint) => variablesOf(endpoint).map((name, n) => html`${n > 0 && ' '}<code class="mono" dir="ltr">${name}</code>`);

export function CurlDialog({ tenant, endpoint, event, onClose }) {
  const { data: text, error, reload } = useAsync(({ signal }) => make(tenant, endpoint, event, signal), [tenant, endpoint, event]);
  return html`<${Dialog} wide title=${t('deliveries.curl.title')} onClose=${onClose} actions=${html`
      <${Button} onClick=${onClose}>${t('common.action.close')}<//>
      ${text && html`<${Copy} text=${text} kind="primary" small=${false}>${t('common.action.copy')}<//>`}`}>
    <p>${rich('deliveries.curl.needs', { names: html`<span>${names(endpoint)}</span>` })}</p>
    ${error ? html`<${ErrorBox} error=${error} onRetry=${reload} />`
      : text == null ? html`<${Loading} />` : html`<${Code} text=${text} label=${t('deliveries.curl.command')} />`}
    <p class="muted">${t('deliveries.curl.note')}</p>
  <//>`;
}
