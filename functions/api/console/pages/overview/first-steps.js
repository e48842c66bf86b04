// The five steps from a new tenant to its first event, each with its button. What is done is known from the API alone; the page looks
// again by itself while it waits for the first event.
import { html } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Icon } from '../../lib/icons.js';
import { Link, path } from '../../lib/router.js';
import { Card, Code, useAsync } from '../../lib/ui.js';

const STEPS = ['url', 'events', 'secret', 'test', 'event'];

/** The step that comes next: none of an endpoint, an endpoint that waits for its test, one that waits for events. */
function reached(endpoints) {
  if (endpoints.some((endpoint) => endpoint.state !== 'inactive')) return 4;
  return endpoints.length > 0 ? 2 : 0;
}

/* messages: overview.first.* overview.first_text.* */

export function FirstSteps({ tenant, endpoints, session }) {
  const at = reached(endpoints);
  const canWrite = session?.readOnly === false;
  return html`<${Card} title=${t('overview.first_steps')} text=${t('overview.first_about')} class="first-steps">
    <ol class="first-list">${STEPS.map((step, n) => html`<li key=${step} class=${n < at ? 'is-done' : n === at ? 'is-active' : ''}
      aria-current=${n === at ? 'step' : undefined}>
      <span class="wizard-n num" aria-hidden="true">${n < at ? html`<${Icon} name="check" />` : n + 1}</span>
      <div class="stack">
        <h3>${t(`overview.first.${step}`)}${n < at && html`<span class="visually-hidden"> ${t('overview.first_done')}</span>`}</h3>
        <p class="muted">${t(`overview.first_text.${step}`)}</p>
        ${n === at && canWrite && html`<${Action} tenant=${tenant} step=${step} endpoints=${endpoints} />`}
        ${n === at && step === 'event' && html`<${Waiting} tenant=${tenant} endpoints=${endpoints} isOperator=${session?.kind === 'operator'} />`}
      </div>
    </li>`)}</ol>
  <//>`;
}

function Action({ tenant, step, endpoints }) {
  const wizard = path('t', tenant, 'endpoints', 'new');
  const unfinished = endpoints.find((endpoint) => endpoint.state === 'inactive');
  if (step === 'url') return html`<p><${Link} class="button button-primary" href=${wizard}>${t('overview.first_add')}<//></p>`;
  if (step === 'secret' && unfinished) {
    return html`<p><${Link} class="button button-primary" href=${`${wizard}?step=secret&endpoint=${encodeURIComponent(unfinished.id)}`}>
      ${t('overview.first_go_on')}<//></p>`;
  }
  return null;
}

/** How an event is posted, for those who may; the others wait for their platform. */
function Waiting({ tenant, endpoints, isOperator }) {
  const about = useAsync(({ signal }) => api('GET', '/v1', { signal }), []);
  return html`
    <p class="row" role="status"><${Icon} name="live" />${t('overview.first_waiting')}</p>
    ${isOperator && about.data && html`<p>${t('overview.first_curl')}</p><${Code} language="sh" text=${curl(about.data.ingest, wantedOf(tenant, endpoints))} />`}`;
}

/** An event that an endpoint there is would get. */
function wantedOf(tenant, endpoints) {
  const { event_types: types, agents } = endpoints.find((endpoint) => endpoint.state === 'active') ?? { event_types: [], agents: [] };
  const type = types.find((name) => !name.includes('*')) ?? 'call.started';
  return { type, tenant, agent: agents[0] ?? 'agt_7', data: { call_id: 'call_1' }, related: { call_id: 'call_1' } };
}

const curl = (ingest, event) => `curl -X POST '${ingest}' \\
  -H "authorization: Bearer $REDIAL_KEY" -H 'content-type: application/json' \\
  -d '${JSON.stringify(event)}'`;
