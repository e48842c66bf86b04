// An event type of the tenant's own: made and changed. The schema is checked by the server when it is saved, and so is the
// example; what does not fit is said beside the field. Also the badges and names that lists of types use.
import { html, useState } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { has, t } from '../../lib/i18n.js';
import { path } from '../../lib/router.js';
import { Button, ErrorBox, Field, State, TextArea, TextInput, useToast } from '../../lib/ui.js';
import { schemaOf } from './schema.js';
import { inTenant } from './texts.js';

/// The API's rules, said here so that a mistake shows before it is sent.
const NAME = /^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$/;
const GROUP = /^[a-z0-9_]{1,64}$/;
const MOST_NAME = 128;
const MOST_DESCRIPTION = 1000;
/// Prefixes of Redial's own types.
const RESERVED = ['endpoint.', 'delivery.', 'replay.', 'redial.'];

const FIRST_SCHEMA = '{\n  "type": "object",\n  "required": [],\n  "properties": {}\n}';

export const typePath = (tenant, name) => path('t', tenant, 'event-types', name);

/* messages: event-types.group_name.* event-types.wrong.* */

/// The groups that ship have names in every language; a tenant's own is shown as it is.
export const groupName = (group) => (has(`event-types.group_name.${group}`) ? t(`event-types.group_name.${group}`) : group);

export function TypeBadges({ type }) {
  return html`${type.origin === 'own' && html`<span class="badge">${t('event-types.own')}</span>`}
    ${type.state !== 'active' && html` <${State} state=${type.state} />`}`;
}

/// JSON out of a text: `{value}`, or `{fault}` with what is wrong, in the browser's words.
export function parsed(text) {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { fault: error.message };
  }
}

function faultOfName(name, taken) {
  if (!NAME.test(name) || name.length > MOST_NAME) return 'name';
  if (RESERVED.some((prefix) => name.startsWith(prefix))) return 'reserved';
  return taken.includes(name) ? 'taken' : null;
}

/// What is wrong with the form: `{field: text}`.
function faults(form, taken) {
  const found = {};
  const name = taken && faultOfName(form.name, taken);
  if (name) found.name = t(`event-types.wrong.${name}`);
  if (form.group && !GROUP.test(form.group)) found.group = t('event-types.wrong.group');
  if (form.description.length > MOST_DESCRIPTION) found.description = t('event-types.wrong.description', { n: MOST_DESCRIPTION });
  const schema = parsed(form.schema);
  if (schema.fault) found.schema = t('event-types.wrong.json', { fault: schema.fault });
  else if (schema.value === null || typeof schema.value !== 'object' || Array.isArray(schema.value)) found.schema = t('event-types.wrong.schema');
  const example = form.example.trim() === '' ? {} : parsed(form.example);
  if (example.fault) found.example = t('event-types.wrong.json', { fault: example.fault });
  return found;
}

const written = (value) => (value == null ? '' : JSON.stringify(value, null, 2));

const formOf = (type) => ({
  name: type?.name ?? '', group: type?.group ?? '', description: type?.description ?? '',
  example: written(type?.example), schema: written(type?.schema) || FIRST_SCHEMA,
});

/// The server's word about a field of the form, beside that field: `example.at` is about the example.
const blamed = (failure) => (failure?.field ? failure.field.split(/[./]/)[0] : null);

export function TypeForm({ tenant, type, taken, onSaved, onClose }) {
  const [form, setForm] = useState(() => formOf(type));
  const [isShown, setIsShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const toast = useToast();
  const wrong = isShown ? faults(form, type ? null : taken) : {};
  const field = blamed(failure);
  const error = (name) => wrong[name] ?? (field === name ? failure.detail : null);
  const set = (name) => (value) => { setForm({ ...form, [name]: value }); setFailure(null); };
  const example = form.example.trim() === '' ? {} : parsed(form.example);
  const canDerive = form.example.trim() !== '' && !example.fault;

  const save = async () => {
    setIsShown(true);
    if (busy || Object.keys(faults(form, type ? null : taken)).length > 0) return;
    setBusy(true);
    setFailure(null);
    const body = { description: form.description, schema: JSON.parse(form.schema) };
    if (form.group) body.group = form.group;
    if (form.example.trim() !== '') body.example = example.value;
    try {
      const saved = await api('PUT', inTenant(tenant, 'event-types', form.name), { body });
      toast(t(type ? 'event-types.saved' : 'event-types.made', { name: saved.name }));
      onSaved(saved);
    } catch (problem) {
      setFailure(problem);
    } finally {
      setBusy(false);
    }
  };

  return html`<form class="stack form-narrow" novalidate onSubmit=${(event) => { event.preventDefault(); save(); }}>
    ${!type && html`<${Field} label=${t('event-types.form.name')} hint=${t('event-types.form.name_hint')} error=${error('name') ?? error('type')}>
      <${TextInput} value=${form.name} dir="ltr" autocomplete="off" spellcheck="false" maxlength=${MOST_NAME} placeholder="booking.made"
        onInput=${set('name')} /><//>`}
    <${Field} label=${t('event-types.form.group')} hint=${t('event-types.form.group_hint')} error=${error('group')}>
      <${TextInput} value=${form.group} dir="ltr" autocomplete="off" spellcheck="false" placeholder="bookings" onInput=${set('group')} /><//>
    <${Field} label=${t('event-types.form.description')} hint=${t('event-types.form.description_hint')} error=${error('description')}>
      <${TextArea} value=${form.description} rows="2" dir="auto" onInput=${set('description')} /><//>
    <${Field} label=${t('event-types.form.example')} hint=${t('event-types.form.example_hint')} error=${error('example')}>
      <${TextArea} value=${form.example} rows="8" dir="ltr" mono spellcheck="false" onInput=${set('example')} /><//>
    <div class="row"><${Button} kind="plain" disabled=${!canDerive}
      onClick=${() => set('schema')(written(schemaOf(example.value)))}>${t('event-types.form.derive')}<//></div>
    <${Field} label=${t('event-types.form.schema')} hint=${t('event-types.form.schema_hint')} error=${error('schema')}>
      <${TextArea} value=${form.schema} rows="14" dir="ltr" mono spellcheck="false" onInput=${set('schema')} /><//>
    ${failure && html`<${ErrorBox} error=${failure} />`}
    <div class="row">
      <${Button} kind="primary" type="submit" busy=${busy}>${t(type ? 'event-types.form.save' : 'event-types.form.make')}<//>
      ${onClose && html`<${Button} kind="plain" onClick=${onClose}>${t('event-types.form.close')}<//>`}
    </div>
    ${type && html`<p class="muted small">${t('event-types.form.change_note')}</p>`}
  </form>`;
}
