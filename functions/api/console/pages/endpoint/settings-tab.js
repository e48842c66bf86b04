// Everything about an endpoint that can be changed, and its end. What somebody edits is kept while the page reads the endpoint again;
// a change names the version that was edited, so that nobody's change is lost without a word.
import { html, useEffect, useMemo, useRef, useState } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { onSession } from '../../lib/session.js';
import { Button, Card, ErrorBox, Notice, useToast } from '../../lib/ui.js';
import { SecretCard } from './secret-card.js';
import { DeleteCard } from './delete-card.js';
import { draftOf, faultOf, patchOf, stepOf } from './draft.js';
import { etagOf } from './order.js';
import { goToBlamed } from './form/blamed.js';
import { DeliveryForm } from './form/delivery.js';
import { EventsForm } from './form/events.js';
import { SecurityForm } from './form/security.js';
import { Summary } from './form/summary.js';
import { TargetForm } from './form/target.js';

export function SettingsTab({ tenant, endpoint, health, types, canWrite, reload, onChanged }) {
  if (!canWrite) {
    return html`<${Notice} title=${t('endpoint.read_only')} /><${Card} title=${t('endpoint.tab.settings')}><${Summary} view=${endpoint} /><//>`;
  }
  return html`<div class="stack narrow">
    <${EditForm} tenant=${tenant} endpoint=${endpoint} types=${types} onChanged=${onChanged} />
    <${SecretCard} tenant=${tenant} endpoint=${endpoint} reload=${reload} />
    <${DeleteCard} tenant=${tenant} endpoint=${endpoint} health=${health} />
  </div>`;
}

/** What is edited: of one version of the endpoint. */
const edited = (endpoint) => ({ of: endpoint, before: draftOf(endpoint), draft: draftOf(endpoint) });

/** What somebody edited and has not saved, while they look at another page; gone with the tab, and with who it was. */
const kept = new Map();
onSession(() => kept.clear());

function useKept(key, edit, isChanged) {
  useEffect(() => {
    if (!isChanged) {
      kept.delete(key);
      return undefined;
    }
    kept.set(key, edit);
    const stay = (event) => event.preventDefault();
    addEventListener('beforeunload', stay);
    return () => removeEventListener('beforeunload', stay);
  }, [key, edit, isChanged]);
}

function EditForm({ tenant, endpoint, types, onChanged }) {
  const key = `${tenant} ${endpoint.id}`;
  const [edit, setEdit] = useState(() => kept.get(key) ?? edited(endpoint));
  const form = useRef(null);
  const [state, setState] = useState({ busy: false, error: null });
  const toast = useToast();
  const patch = useMemo(() => patchOf(edit.before, edit.draft), [edit]);
  const changes = Object.keys(patch).length;
  useKept(key, edit, changes > 0);
  // What is wrong is where the keyboard goes on.
  useEffect(() => { if (state.error) goToBlamed(form.current); }, [state.error]);
  // Nothing is edited: then the form shows the endpoint as it is now.
  if (changes === 0 && edit.of.version !== endpoint.version) setEdit(edited(endpoint));
  const set = (part) => {
    setEdit((before) => ({ ...before, draft: { ...before.draft, ...part } }));
    // What this page itself was not content with is not said longer than it holds.
    if (state.error?.isOurs) setState({ busy: false, error: null });
  };
  const again = () => {
    setEdit(edited(endpoint));
    setState({ busy: false, error: null });
  };
  const save = async () => {
    const fault = faultOf(edit.draft);
    if (fault) {
      setState({ busy: false, error: { field: fault, detail: t('endpoints.choose_one'), isOurs: true } });
      return;
    }
    setState({ busy: true, error: null });
    try {
      const changed = await api('PATCH', tenantApi(tenant, 'endpoints', endpoint.id), { body: patch, ifMatch: etagOf(edit.of) });
      setEdit(edited(changed));
      setState({ busy: false, error: null });
      onChanged(changed);
      toast(t('endpoint.saved'));
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  const { busy, error } = state;
  const shared = { draft: edit.draft, set, error };
  const section = (name, title, form) => html`<${Card} title=${title} class=${stepOf(error) === name ? 'card-blamed' : ''}>${form}<//>`;
  return html`<form ref=${form} novalidate class="stack" onSubmit=${(event) => { event.preventDefault(); if (changes > 0 && !busy) save(); }}>
    ${edit.of.version !== endpoint.version && changes > 0 && html`<${Notice} kind="warn" title=${t('endpoint.changed_elsewhere')}
      actions=${html`<${Button} onClick=${again}>${t('endpoint.load_again')}<//>`}>${t('endpoint.changed_elsewhere_text')}<//>`}
    ${section('target', t('endpoints.part.target'), html`<${TargetForm} ...${shared} />`)}
    ${section('events', t('endpoints.part.events'), html`<${EventsForm} ...${shared} types=${types} />`)}
    ${section('security', t('endpoints.part.security'), html`<${SecurityForm} ...${shared} shownAuth=${edit.of.auth} />`)}
    ${section('delivery', t('endpoints.part.delivery'), html`<${DeliveryForm} ...${shared} />`)}
    ${error && html`<${Refusal} error=${error} />`}
    <div class="save-bar">
      <span role="status" class="muted">${changes === 0 ? t('endpoint.no_changes') : t('endpoint.changes', { n: changes })}</span>
      <${Button} disabled=${changes === 0} onClick=${again}>${t('endpoint.undo')}<//>
      <${Button} kind="primary" type="submit" busy=${busy} disabled=${changes === 0}>${t('endpoint.save')}<//>
    </div>
  </form>`;
}

/** What the API refused: at its field if a card shows that, and here so that it is seen beside the button. */
function Refusal({ error }) {
  if (!stepOf(error)) return html`<${ErrorBox} error=${error} />`;
  if (error.isOurs) return html`<p class="field-error" role="alert">${error.detail}</p>`;
  return html`<p class="field-error" role="alert">${t('endpoint.refused_at', { field: error.field })} <bdi>${error.detail}</bdi></p>`;
}
