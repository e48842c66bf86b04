// The end of an endpoint: said in numbers, confirmed by typing its host.
import { html, useState } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { navigate, path } from '../../lib/router.js';
import { Button, Card, Confirm } from '../../lib/ui.js';
import { countText } from './backlog.js';
import { etagOf, useOrder } from './order.js';

/** What is typed to confirm: the host of its URL. */
function hostOf(endpoint) {
  try {
    return new URL(endpoint.url).host;
  } catch {
    return endpoint.id;
  }
}

export function DeleteCard({ tenant, endpoint, health }) {
  const [isAsking, setIsAsking] = useState(false);
  return html`<${Card} title=${t('endpoint.delete')} text=${t('endpoint.delete_about')}
    actions=${html`<${Button} kind="danger" icon="trash" onClick=${() => setIsAsking(true)}>${t('endpoint.delete')}<//>`}>
    ${isAsking && html`<${Ask} tenant=${tenant} endpoint=${endpoint} health=${health.data} onClose=${() => setIsAsking(false)} />`}
  <//>`;
}

function Ask({ tenant, endpoint, health, onClose }) {
  const give = () => api('DELETE', tenantApi(tenant, 'endpoints', endpoint.id), { ifMatch: etagOf(endpoint) });
  const { ask, error } = useOrder(give, t('endpoint.deleted'), () => navigate(path('t', tenant, 'endpoints')));
  return html`<${Confirm} title=${t('endpoint.delete_title')} text=${t('endpoint.delete_text')} typed=${hostOf(endpoint)}
    action=${t('endpoint.delete')} error=${error} onConfirm=${ask} onClose=${onClose}>
    ${health && html`<p>${t('endpoint.delete_waiting', { held: countText(health.held), retrying: countText(health.retrying) })}</p>`}
  <//>`;
}
