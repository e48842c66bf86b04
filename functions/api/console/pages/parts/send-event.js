// "Send a test event": chooses the endpoint whose test it is, and leads there. The console posts no events: `POST /v1/events` takes
// the platform's own keys alone, no session and no portal link.
import { html, useState } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { canWrite } from '../../lib/session.js';
import { Button, Dialog, Empty, ErrorBox, Field, Loading, Select } from '../../lib/ui.js';
import { endpointOptions, useEndpoints } from './endpoints.js';
import { endpointPath, endpointsPath } from './place.js';

function Choice({ tenant, endpoints, onClose }) {
  const [chosen, setChosen] = useState(endpoints[0].id);
  return html`<${Dialog} title=${t('events.send.title')} onClose=${onClose} actions=${html`
      <${Button} onClick=${onClose}>${t('common.action.cancel')}<//>
      <${Link} class="button button-primary" href=${`${endpointPath(tenant, chosen)}?tab=test`}>${t('events.send.go')}<//>`}>
    <p>${t('events.send.text')}</p>
    <${Field} label=${t('events.endpoint')}>
      <${Select} value=${chosen} onChange=${setChosen} options=${endpointOptions(endpoints)} /><//>
  <//>`;
}

function SendDialog({ tenant, onClose }) {
  const { data, error, reload } = useEndpoints(tenant);
  if (data?.length > 0) return html`<${Choice} tenant=${tenant} endpoints=${data} onClose=${onClose} />`;
  return html`<${Dialog} title=${t('events.send.title')} onClose=${onClose}>
    ${error ? html`<${ErrorBox} error=${error} onRetry=${reload} />`
      : data ? html`<${Empty} icon="endpoint" title=${t('events.why.none')}
          action=${html`<${Link} class="button button-primary" href=${`${endpointsPath(tenant)}/new`}>${t('events.send.add')}<//>`} />`
        : html`<${Loading} rows=${2} />`}
  <//>`;
}

export function SendEvent({ tenant }) {
  const [isOpen, setIsOpen] = useState(false);
  if (!canWrite()) return null;
  return html`<${Button} icon="send" onClick=${() => setIsOpen(true)}>${t('events.send.title')}<//>
    ${isOpen && html`<${SendDialog} tenant=${tenant} onClose=${() => setIsOpen(false)} />`}`;
}
