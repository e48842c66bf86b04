// The settings of a tenant: read by everybody who may see it, changed by operators. Only what was changed is sent; what is
// absent stays as it is. Also where a whole tenant is erased.
import { html, useState } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { useSession } from '../../lib/session.js';
import { tellName } from '../../lib/tenant-name.js';
import { navigate } from '../../lib/router.js';
import { Time, number } from '../../lib/format.js';
import { Button, Card, Checkbox, Confirm, ErrorBox, Field, Id, KeyValue, Loading, Notice, Select, TextInput, useAsync, useToast } from '../../lib/ui.js';
import { inTenant } from '../parts/texts.js';

/// The API's limits.
const DAYS = [3, 365];
const ENDPOINTS = [0, 200];
const MOST_SHARDS = 1024;
const MOST_NAME = 200;
const MOST_URL = 2048;
const VALIDATIONS = ['off', 'warn', 'reject'];
const FIELDS = ['name', 'retention_days', 'validation', 'allow_unknown_types', 'analysis_url', 'max_endpoints', 'shards'];
const NUMBERS = new Set(['retention_days', 'max_endpoints', 'shards']);

/* messages: settings.validation.* */

/// The form's values: texts, but for what is ticked.
const formOf = (tenant) => Object.fromEntries(FIELDS.map((name) =>
  [name, typeof tenant[name] === 'boolean' ? tenant[name] : String(tenant[name] ?? '')]));

/// What differs from what is stored, as `PUT` wants it. An empty URL takes it away.
function changesOf(form, tenant) {
  const before = formOf(tenant);
  const changed = FIELDS.filter((name) => form[name] !== before[name]);
  return Object.fromEntries(changed.map((name) => {
    const value = typeof form[name] === 'string' ? form[name].trim() : form[name];
    return [name, NUMBERS.has(name) ? Number(value) : value];
  }));
}

function faults(form, tenant) {
  const found = {};
  const isWithin = (text, least, most) => /^\d+$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;
  const range = (name, least, most) => {
    if (!isWithin(form[name], least, most)) found[name] = t('settings.wrong.range', { from: number(least), to: number(most) });
  };
  range('retention_days', ...DAYS);
  range('max_endpoints', ...ENDPOINTS);
  range('shards', tenant.shards, MOST_SHARDS);
  if (form.analysis_url.trim() !== '' && !/^https:\/\//i.test(form.analysis_url.trim())) found.analysis_url = t('settings.wrong.https');
  return found;
}

function Fields({ form, set, errors, tenant }) {
  const hint = (name, values) => t(`settings.hint.${name}`, values);
  /* messages: settings.hint.* settings.field.* */
  const field = (name, input, values) => html`<${Field} label=${t(`settings.field.${name}`)} hint=${hint(name, values)} error=${errors[name]}>${input}<//>`;
  const count = (name, least, most) => field(name, html`<${TextInput} type="number" inputmode="numeric" dir="ltr" min=${least} max=${most}
    value=${form[name]} onInput=${set(name)} />`, { from: number(least), to: number(most) });
  return html`
    ${field('name', html`<${TextInput} value=${form.name} maxlength=${MOST_NAME} onInput=${set('name')} />`)}
    ${count('retention_days', ...DAYS)}
    ${field('validation', html`<${Select} value=${form.validation} onChange=${set('validation')}
      options=${VALIDATIONS.map((value) => ({ value, label: t(`settings.validation.${value}`) }))} />`)}
    <${Checkbox} checked=${form.allow_unknown_types} onChange=${set('allow_unknown_types')}
      label=${t('settings.field.allow_unknown_types')} hint=${hint('allow_unknown_types')} />
    ${field('analysis_url', html`<${TextInput} type="url" value=${form.analysis_url} maxlength=${MOST_URL}
      placeholder="https://api.example.com/calls/{call_id}/analysis" onInput=${set('analysis_url')} />`)}
    ${count('max_endpoints', ...ENDPOINTS)}
    ${count('shards', tenant.shards, MOST_SHARDS)}`;
}

function Form({ tenant, onSaved }) {
  const [form, setForm] = useState(() => formOf(tenant));
  const [isShown, setIsShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const toast = useToast();
  const wrong = isShown ? faults(form, tenant) : {};
  const errors = failure?.field ? { ...wrong, [failure.field]: failure.detail } : wrong;
  const set = (name) => (value) => { setForm((before) => ({ ...before, [name]: value })); setFailure(null); };
  const changes = changesOf(form, tenant);
  const isChanged = Object.keys(changes).length > 0;
  const shorter = Number(form.retention_days) < tenant.retention_days;

  const save = async () => {
    setIsShown(true);
    if (busy || !isChanged || Object.keys(faults(form, tenant)).length > 0) return;
    setBusy(true);
    setFailure(null);
    try {
      onSaved(await api('PUT', inTenant(tenant.id), { body: changes }));
      toast(t('settings.saved'));
    } catch (problem) {
      setFailure(problem);
    } finally {
      setBusy(false);
    }
  };

  return html`<form class="stack form-narrow" novalidate onSubmit=${(event) => { event.preventDefault(); save(); }}>
    <${Fields} form=${form} set=${set} errors=${errors} tenant=${tenant} />
    ${shorter && html`<${Notice} kind="info">${t('settings.retention_note')}<//>`}
    ${Number(form.shards) > tenant.shards && html`<${Notice} kind="warn">${t('settings.shards_note')}<//>`}
    ${failure && html`<${ErrorBox} error=${failure} />`}
    <div class="row"><${Button} kind="primary" type="submit" busy=${busy} disabled=${!isChanged}>${t('settings.save')}<//>
      ${isChanged && html`<${Button} onClick=${() => { setForm(formOf(tenant)); setFailure(null); }}>${t('settings.undo')}<//>`}</div>
  </form>`;
}

/// What customers see: the same, in words.
function Shown({ tenant }) {
  const yesOrNo = tenant.allow_unknown_types ? 'yes' : 'no';
  return html`<${KeyValue} items=${[
    [t('settings.field.name'), html`<bdi>${tenant.name}</bdi>`],
    [t('settings.field.retention_days'), t('settings.days', { n: tenant.retention_days })],
    [t('settings.field.validation'), t(`settings.validation.${tenant.validation}`)],
    [t('settings.field.allow_unknown_types'), t(yesOrNo === 'yes' ? 'settings.yes' : 'settings.no')],
    [t('settings.field.analysis_url'), tenant.analysis_url && html`<code dir="ltr">${tenant.analysis_url}</code>`],
    [t('settings.field.max_endpoints'), number(tenant.max_endpoints)],
  ]} /><p class="muted small">${t('settings.operators_change')}</p>`;
}

/// Erases the tenant with everything that belongs to it.
function Erase({ tenant }) {
  const [isAsked, setIsAsked] = useState(false);
  const [error, setError] = useState(null);
  const toast = useToast();
  const erase = async () => {
    setError(null);
    try {
      await api('DELETE', inTenant(tenant.id));
      toast(t('settings.tenant_erased', { name: tenant.id }));
      navigate('/');
    } catch (failure) {
      setError(failure);
    }
  };
  return html`<${Card} title=${t('settings.erase_tenant')} text=${t('settings.erase_tenant_text')}>
    <div class="row"><${Button} kind="danger" icon="trash" onClick=${() => setIsAsked(true)}>${t('settings.erase_tenant')}<//></div>
    ${isAsked && html`<${Confirm} title=${t('settings.erase_tenant_title', { name: tenant.id })} text=${t('settings.erase_tenant_ask')} typed=${tenant.id}
      action=${t('settings.erase_tenant')} onConfirm=${erase} onClose=${() => setIsAsked(false)}>
      ${error && html`<${ErrorBox} error=${error} />`}<//>`}
  <//>`;
}

export function TenantSettings({ tenant: id }) {
  const who = useSession();
  const { data: tenant, error, reload, setData } = useAsync(({ signal }) => api('GET', inTenant(id), { signal }), [id]);
  const isOperator = who?.kind === 'operator' && !who.readOnly;
  if (error) return html`<${ErrorBox} error=${error} onRetry=${reload} />`;
  if (!tenant) return html`<${Loading} />`;
  return html`<${Card} title=${html`<bdi>${tenant.name || tenant.id}</bdi>`}>
      <${KeyValue} items=${[[t('settings.id'), html`<${Id} value=${tenant.id} copy />`],
        [t('settings.made'), html`<${Time} at=${tenant.created_at} />`], [t('settings.changed'), html`<${Time} at=${tenant.updated_at} />`]]} />
      ${isOperator ? html`<${Form} key=${tenant.updated_at} tenant=${tenant} onSaved=${(saved) => { setData(saved); tellName(saved.id, saved.name); }} />` : html`<${Shown} tenant=${tenant} />`}
    <//>
    ${isOperator && html`<${Erase} tenant=${tenant} />`}`;
}
