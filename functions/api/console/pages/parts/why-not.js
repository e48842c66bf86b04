// Why an event did not go to an endpoint: every endpoint of the tenant, and whether the event would reach it as they are set now,
// in the API's own sentence. Sends nothing.
import { html } from '../../lib/preact.js';
import { has, language, t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { Button, Dialog, Empty, ErrorBox, Loading, State, useAsync } from '../../lib/ui.js';
import { endpointPath, endpointsPath } from './place.js';
import { dryRun } from './requests.js';
import { Told } from './texts.js';

/** Whether it reaches an endpoint, as a state: delivered, held for it, or not. */
const stateOf = ({ reaches, code }) => {
  if (!reaches) return { state: 'inactive', label: t('events.why.no') };
  return code === 'delivered' ? { state: 'succeeded', label: t('events.why.yes') } : { state: 'held' };
};

/* messages: events.why.code.* */

/** Why an event reaches an endpoint, or not; the server's own sentence says what to change, in English. */
function Because({ code, reason }) {
  const key = `events.why.code.${code}`;
  return language() !== 'en' && has(key) ? t(key) : html`<${Told} text=${reason} />`;
}

function Answers({ tenant, items, urlOf }) {
  if (items.length === 0) {
    return html`<${Empty} icon="endpoint" title=${t('events.why.none')}
      action=${html`<${Link} class="button button-primary" href=${endpointsPath(tenant)}>${t('events.why.endpoints')}<//>`} />`;
  }
  return html`<ul class="stack">${items.map((item) => html`<li key=${item.endpoint} class="stack stack-tight">
    <span><${State} ...${stateOf(item)} />${' '}
      <${Link} href=${endpointPath(tenant, item.endpoint)}><bdi class="mono" dir="ltr">${urlOf(item.endpoint)}</bdi><//></span>
    <span class="small"><${Because} code=${item.code} reason=${item.reason} /></span></li>`)}</ul>`;
}

export function WhyNot({ tenant, event, urlOf, onClose }) {
  const { data, error, reload } = useAsync(() => dryRun(tenant, event), [tenant, event]);
  return html`<${Dialog} wide title=${t('events.why.title')} onClose=${onClose}
      actions=${html`<${Button} onClick=${onClose}>${t('common.action.close')}<//>`}>
    <p class="muted">${t('events.why.text')}</p>
    ${error ? html`<${ErrorBox} error=${error} onRetry=${reload} />`
      : data ? html`<${Answers} tenant=${tenant} items=${data.items} urlOf=${urlOf} />` : html`<${Loading} rows=${3} />`}
  <//>`;
}
