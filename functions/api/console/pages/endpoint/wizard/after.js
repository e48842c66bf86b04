// The steps after an endpoint was made: its secret and how to verify with it, the test whose receipt somebody confirms, activation.
import { html, useState } from '../../../lib/preact.js';
import { api } from '../../../lib/api.js';
import { t } from '../../../lib/i18n.js';
import { Link, path } from '../../../lib/router.js';
import { useSession } from '../../../lib/session.js';
import { Button, Checkbox, Code, Confirm, ErrorBox, Field, Notice, useAsync } from '../../../lib/ui.js';
import { SecretFields, Verification } from '../secret.js';
import { TestPanel } from '../test-panel.js';
import { order, useOrder } from '../order.js';

export function SecretStep({ tenant, endpoint, known, onNext }) {
  return html`
    <${Notice} kind="good" title=${t('wizard.made')}>${t('wizard.made_text')}<//>
    <${SecretFields} tenant=${tenant} endpoint=${endpoint.id} known=${known} />
    <${Verification} profile=${endpoint.profile} />
    <${Sources} />
    <div class="actions"><${Button} kind="primary" onClick=${onNext}>${t('wizard.to_test')}<//></div>`;
}

/** Where requests come from, for receivers that let in no others. */
function Sources() {
  const about = useAsync(({ signal }) => api('GET', '/v1', { signal }), []);
  const addresses = about.data?.egress_addresses ?? [];
  if (addresses.length === 0) return null;
  return html`<${Field} group label=${t('wizard.sources')} hint=${t('wizard.sources_hint')}><${Code} text=${addresses.join('\n')} /><//>`;
}

const idOf = (exchange) => exchange.request.headers.find((header) => header.name === 'webhook-id')?.value ?? '';

export function TestStep({ tenant, endpoint, types, onActivated, onBack }) {
  const [exchange, setExchange] = useState(null);
  const [isConfirmed, setIsConfirmed] = useState(false);
  const [isSkipping, setIsSkipping] = useState(false);
  const tested = (answer) => {
    setExchange(answer);
    setIsConfirmed(false);
  };
  const { ask, error, busy } = useActivation(tenant, endpoint, onActivated);
  const isReady = exchange?.ok === true && isConfirmed;
  return html`
    <${TestPanel} tenant=${tenant} endpoint=${endpoint} types=${types} canSend onExchange=${tested} />
    ${exchange && !exchange.ok && html`<p>${t('wizard.mend_text')}${' '}
      <${Link} href=${`${path('t', tenant, 'endpoints', endpoint.id)}?tab=settings`}>${t('wizard.to_settings')}<//></p>`}
    <section class="wizard-confirm stack" aria-live="polite">
      <h3>${t('wizard.confirm')}</h3>
      ${exchange?.ok
        ? html`<p>${t('wizard.confirm_text')} <code dir="ltr">webhook-id: ${idOf(exchange)}</code></p>
          <${Checkbox} checked=${isConfirmed} onChange=${setIsConfirmed} label=${t('wizard.confirmed')} hint=${t('wizard.confirmed_hint')} />`
        : html`<p class="muted">${t('wizard.confirm_first')}</p>`}
    </section>
    ${error && html`<${ErrorBox} error=${error} />`}
    <div class="actions">
      <${Button} onClick=${onBack}>${t('wizard.back')}<//>
      <${Button} kind="primary" icon="play" busy=${busy} disabled=${!isReady} onClick=${ask}>${t('endpoint.activate')}<//>
      <${Link} class="button button-quiet" href=${path('t', tenant, 'endpoints', endpoint.id)}>${t('wizard.later')}<//>
      ${!isReady && html`<${Button} kind="quiet" onClick=${() => setIsSkipping(true)}>${t('wizard.skip')}<//>`}
    </div>
    ${isSkipping && html`<${Skip} tenant=${tenant} endpoint=${endpoint} onClose=${() => setIsSkipping(false)} onDone=${onActivated} />`}`;
}

/** Activates; an error is shown whole, as there is no dialog around it. */
function useActivation(tenant, endpoint, onDone) {
  const [state, setState] = useState({ busy: false, error: null });
  const ask = async () => {
    setState({ busy: true, error: null });
    try {
      onDone(await order(tenant, endpoint, 'activate'));
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  return { ...state, ask };
}

function Skip({ tenant, endpoint, onClose, onDone }) {
  const { ask, error } = useOrder(() => order(tenant, endpoint, 'activate'), t('endpoint.activated_now'), onDone);
  return html`<${Confirm} title=${t('wizard.skip_title')} text=${t('wizard.skip_text')} action=${t('endpoint.activate')} danger=${false}
    error=${error} onConfirm=${ask} onClose=${onClose} />`;
}

export function Done({ tenant, endpoint }) {
  const isOperator = useSession()?.kind === 'operator';
  return html`
    <${Notice} kind="good" title=${t('wizard.done')}>${t(isOperator ? 'wizard.done_operator' : 'wizard.done_customer')}<//>
    <div class="actions">
      <${Link} class="button button-primary" href=${path('t', tenant, 'endpoints', endpoint.id)}>${t('wizard.open')}<//>
      <${Link} class="button button-plain" href=${path('t', tenant)}>${t('wizard.overview')}<//>
      <${Link} class="button button-plain" href=${path('t', tenant, 'endpoints', 'new')}>${t('wizard.another')}<//>
    </div>`;
}

