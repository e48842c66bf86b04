// A new endpoint in five steps: where, which events of which agents (with more for those who need it); it is made inactive; then its
// secret, a test whose receipt is confirmed, and activation. The step and the endpoint are in the address: a reload goes on.
import { html, useEffect, useRef, useState } from '../lib/preact.js';
import { all, api, tenantApi } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { path, useQuery } from '../lib/router.js';
import { useSession } from '../lib/session.js';
import { Button, ErrorBox, Loading, Notice, PageHead, useAsync } from '../lib/ui.js';
import { blame, creationOf, faultOf, stepOf } from './endpoint/draft.js';
import { DeliveryForm } from './endpoint/form/delivery.js';
import { goToBlamed } from './endpoint/form/blamed.js';
import { EventsForm } from './endpoint/form/events.js';
import { SecurityForm } from './endpoint/form/security.js';
import { authText } from './endpoint/form/summary.js';
import { TargetForm } from './endpoint/form/target.js';
import { Done, SecretStep, TestStep } from './endpoint/wizard/after.js';
import { forgetDraft, keepDraft, keptDraft } from './endpoint/wizard/kept.js';
import { Steps } from './endpoint/wizard/steps.js';

export const areas = ['endpoints', 'endpoint', 'wizard', 'deliveries'];

/** Before the endpoint is made, and after. */
const BEFORE = ['target', 'events'];
const AFTER = ['secret', 'test', 'done'];
/** What most need not look at: parts of the last step before, folded. An address that names one opens it. */
const FOLDED = ['security', 'delivery'];

export function Page({ params: { tenant } }) {
  const [query] = useQuery();
  const canWrite = useSession()?.readOnly === false;
  const [made, setMade] = useState(null);
  const crumbs = [{ label: t('endpoints.title'), href: path('t', tenant, 'endpoints') }];
  return html`
    <${PageHead} title=${t('wizard.title')} text=${t('wizard.about')} crumbs=${crumbs} />
    ${!canWrite && html`<${Notice} title=${t('wizard.read_only')} />`}
    ${canWrite && (query.endpoint
      ? html`<${After} key=${query.endpoint} tenant=${tenant} id=${query.endpoint} made=${made} />`
      : html`<${Before} key=${tenant} tenant=${tenant} onMade=${setMade} />`)}`;
}

/** An address that is not `https://` is refused by the API unless it serves one machine: the rest is for it to judge. */
const looksLikeUrl = (text) => /^https?:\/\/[^\s/]/.test(text.trim());

function Before({ tenant, onMade }) {
  const [query, setQuery] = useQuery();
  const [draft, setDraft] = useState(() => keptDraft(tenant));
  const [state, setState] = useState({ busy: false, error: null });
  const types = useAsync(({ signal }) => all(tenantApi(tenant, 'event-types'), {}, { signal }), [tenant]);
  const step = FOLDED.includes(query.step) || query.step === 'events' ? 'events' : 'target';
  const go = (to) => setQuery({ step: to }, { replace: false });
  const set = (part) => {
    const changed = { ...draft, ...part };
    setDraft(changed);
    keepDraft(tenant, changed);
    setState((before) => (before.error ? { ...before, error: stillBlamed(before.error, part) } : before));
  };

  const form = useRef(null);
  // What is wrong is where the keyboard goes on.
  useEffect(() => { if (state.error) goToBlamed(form.current); }, [state.error, query.step]);

  const make = async () => {
    setState({ busy: true, error: null });
    try {
      const endpoint = await api('POST', tenantApi(tenant, 'endpoints'), { body: creationOf(draft) });
      forgetDraft(tenant);
      onMade(endpoint);
      setQuery({ step: 'secret', endpoint: endpoint.id }, { replace: true });
    } catch (error) {
      setState({ busy: false, error });
      if (stepOf(error)) go(stepOf(error));
    }
  };
  const next = () => {
    const fault = step === 'events' ? faultOf(draft) : null;
    if (fault) setState({ busy: false, error: { field: fault, detail: t('endpoints.choose_one') } });
    else if (!looksLikeUrl(draft.url)) {
      setState({ busy: false, error: { field: 'url', detail: t('wizard.url_wrong') } });
      if (step !== 'target') go('target');
    } else if (step === 'target') go('events');
    else make();
  };

  const { busy, error } = state;
  const isLast = step === 'events';
  return html`
    <${Steps} steps=${[...BEFORE, ...AFTER]} active=${step} reachable=${looksLikeUrl(draft.url) ? BEFORE : [BEFORE[0]]} onGo=${go} />
    <${Framed} step=${step}>
      <form ref=${form} novalidate class="stack" onSubmit=${(event) => { event.preventDefault(); if (!busy) next(); }}>
        ${isLast
          ? html`<${LastStep} draft=${draft} set=${set} error=${error} types=${types} opened=${query.step} onGo=${go} />`
          : html`<${TargetForm} draft=${draft} set=${set} error=${error} />`}
        ${error && !stepOf(error) && html`<${ErrorBox} error=${error} />`}
        <div class="actions">
          ${isLast && html`<${Button} onClick=${() => go('target')}>${t('wizard.back')}<//>`}
          <${Button} kind="primary" type="submit" busy=${busy}>${t(isLast ? 'wizard.make' : 'wizard.next')}<//>
          ${isLast && html`<span class="muted">${t('wizard.make_hint')}</span>`}
        </div>
      </form>
    <//>`;
}

/** What of a form each part of a draft is in the API: a field that was changed is no longer blamed. */
const FIELDS_OF = { url: ['url'], description: ['description'], labels: ['metadata'], eventTypes: ['event_types'], isChoosing: ['event_types'], agents: ['agents'],
  excludeAgents: ['exclude_agents'], auth: ['auth'], authKind: ['auth'], headers: ['headers'], secret: ['secret'], profile: ['profile'],
  payload: ['payload'], timeoutMs: ['timeout_ms'], retry: ['retry'], rateLimit: ['rate_limit'], deadDays: ['dead_letter'] };

function stillBlamed(error, part) {
  const changed = Object.keys(part).flatMap((name) => FIELDS_OF[name] ?? []);
  return changed.length > 0 && blame(error, ...changed) ? null : error;
}

/* messages: wizard.step_title.* wizard.step_text.* endpoints.part.* endpoints.step.* */

/** A step with its heading, which takes the focus when the step is reached; at once, if somebody was on another one before. */
function Framed({ step, takesFocus = false, children }) {
  const heading = useRef(null);
  const isFirst = useRef(!takesFocus);
  useEffect(() => {
    if (!isFirst.current) heading.current?.focus();
    isFirst.current = false;
  }, [step]);
  return html`<section class="card wizard">
    <header class="wizard-head"><h2 ref=${heading} tabindex="-1">${t(`wizard.step_title.${step}`)}</h2>
      <p class="muted">${t(`wizard.step_text.${step}`)}</p></header>
    ${children}
  </section>`;
}

/** Events and agents; folded below them, what the endpoint does unless somebody wants it otherwise. */
function LastStep({ draft, set, error, types, opened, onGo }) {
  const blamed = stepOf(error);
  const part = (name, summary, form) => html`<details class="wizard-more" key=${name} open=${opened === name || blamed === name}>
    <summary><span class="strong">${t(`endpoints.part.${name}`)}</span> <span class="muted">${summary}</span></summary>
    <div class="stack">${form}</div></details>`;
  const shared = { draft, set, error };
  return html`
    ${draft.url && html`<p class="wizard-target"><bdi class="mono" dir="ltr">${draft.url}</bdi> <${Button} kind="quiet" small icon="edit"
      label=${t('wizard.change', { step: t('endpoints.step.target') })} onClick=${() => onGo('target')} /></p>`}
    <${EventsForm} ...${shared} types=${types} />
    ${part('security', securityText(draft), html`<${SecurityForm} ...${shared} isNew />`)}
    ${part('delivery', deliveryText(draft), html`<${DeliveryForm} ...${shared} />`)}`;
}

/* messages: endpoints.profile.* endpoints.retry.* */

const securityText = ({ authKind, auth }) => authText(authKind === 'none' ? null : { type: authKind, ...auth });
const deliveryText = ({ profile, retry }) =>
  [t(`endpoints.profile.${profile}`), ...(retry.kind === 'default' ? [] : [t(`endpoints.retry.${retry.kind}`)])].join(' · ');

function After({ tenant, id, made }) {
  const [query, setQuery] = useQuery();
  const view = useAsync(({ signal }) => api('GET', tenantApi(tenant, 'endpoints', id), { signal }), [tenant, id]);
  const types = useAsync(({ signal }) => all(tenantApi(tenant, 'event-types'), {}, { signal }), [tenant]);
  const asked = AFTER.includes(query.step) ? query.step : AFTER[0];
  const go = (to) => setQuery({ step: to }, { replace: false });
  if (!view.data) return view.error ? html`<${ErrorBox} error=${view.error} onRetry=${view.reload} />` : html`<${Loading} />`;
  const endpoint = view.data;
  const isActive = endpoint.state !== 'inactive';
  const step = { secret: 'secret', test: isActive ? 'done' : 'test', done: isActive ? 'done' : 'test' }[asked];
  const secret = made?.id === id ? { secret: made.secret, previous: null } : null;
  const activated = (changed) => {
    view.setData(changed);
    go('done');
  };
  return html`
    <${Steps} steps=${[...BEFORE, ...AFTER]} active=${step} reachable=${isActive ? ['secret', 'done'] : ['secret', 'test']} onGo=${go} />
    <${Framed} step=${step} takesFocus=${made?.id === id}>
      ${step === 'secret' && html`<${SecretStep} tenant=${tenant} endpoint=${endpoint} known=${secret} onNext=${() => go('test')} />`}
      ${step === 'test' && html`<${TestStep} tenant=${tenant} endpoint=${endpoint} types=${types} onActivated=${activated} onBack=${() => go('secret')} />`}
      ${step === 'done' && html`<${Done} tenant=${tenant} endpoint=${endpoint} />`}
    <//>`;
}

