// Operators' keys: made, shown once, limited to networks, renamed, revoked. Never shows the text of a key that is stored.
import { html, useState } from '../lib/preact.js';
import { api } from '../lib/api.js';
import { rich, t } from '../lib/i18n.js';
import { useSession } from '../lib/session.js';
import { useQuery } from '../lib/router.js';
import { Time } from '../lib/format.js';
import { Button, Card, Confirm, Dialog, Empty, ErrorBox, Field, Id, PageHead, Pager, State, TagInput, Table, TextInput, usePages,
  useToast } from '../lib/ui.js';
import { KeyForm, MadeKey, networkFault } from './parts/key-form.js';
import { Names } from './parts/names.js';

export const areas = ['keys', 'replays'];

/// Longest name, in characters.
const MOST_NAME = 200;

const pathOf = (key) => `/v1/keys/${encodeURIComponent(key.id)}`;
const nameOf = (key) => key.name || key.id;

function Scope({ scope }) {
  const [kind, tenant] = scope.split(/:(.*)/s);
  /* messages: keys.scope.* */
  return html`${t(`keys.scope.${kind}.name`)}${tenant && html` <${Id} value=${tenant} />`}`;
}

/// From where alone a key works, and what it is called.
function Change({ entry, onClose, onChanged }) {
  const [name, setName] = useState(entry.name ?? '');
  const [networks, setNetworks] = useState(entry.allowed_networks ?? []);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const wrong = networkFault(networks);
  const save = async () => {
    if (busy || wrong) return;
    setBusy(true);
    setError(null);
    try {
      await api('PATCH', pathOf(entry), { body: { name: name.trim() || null, allowed_networks: networks.length > 0 ? networks : null } });
      onChanged(t('keys.changed'));
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${t('keys.change_title', { name: nameOf(entry) })} onClose=${onClose} onSubmit=${save} actions=${html`
      <${Button} onClick=${onClose}>${t('keys.back')}<//>
      <${Button} kind="primary" type="submit" busy=${busy}>${t('keys.save')}<//>`}>
    <${Field} label=${t('keys.name')} hint=${t('keys.name_hint')}><${TextInput} value=${name} maxlength=${MOST_NAME} onInput=${setName} /><//>
    <${Field} label=${t('keys.networks')} hint=${t('keys.networks_hint')} error=${wrong}>
      <${TagInput} values=${networks} onChange=${setNetworks} placeholder="203.0.113.0/24" /><//>
    ${error && html`<${ErrorBox} error=${error} />`}
  <//>`;
}

/// Asks for the key's name or id to be typed: a revoked key comes back for nobody.
function Revoke({ entry, onClose, onRevoked }) {
  const [error, setError] = useState(null);
  const revoke = async () => {
    setError(null);
    try {
      await api('DELETE', pathOf(entry));
      onRevoked(t('keys.revoked', { name: nameOf(entry) }));
    } catch (failure) {
      setError(failure);
    }
  };
  return html`<${Confirm} title=${t('keys.revoke_title', { name: nameOf(entry) })} text=${t('keys.revoke_text')} typed=${entry.id}
    action=${t('keys.revoke')} onConfirm=${revoke} onClose=${onClose}>
    ${entry.last_used_at && html`<p>${t('keys.last_used')}: <${Time} at=${entry.last_used_at} /></p>`}
    ${error && html`<${ErrorBox} error=${error} />`}
  <//>`;
}

/// The key that made another: by its name if it is in the list, else by its id.
const Maker = ({ id, name }) => (name ? html`<bdi title=${id}>${name}</bdi>` : html`<${Id} value=${id} />`);

const columns = (act, names) => [
  { key: 'name', label: t('keys.name'), cell: (key) => html`<strong><bdi>${key.name || t('keys.no_name')}</bdi></strong>
    <div class="small"><${Id} value=${key.id} /></div>` },
  { key: 'scope', label: t('keys.may'), cell: (key) => html`<${Scope} scope=${key.scope} />` },
  { key: 'last_used_at', label: t('keys.last_used'), cell: (key) => (key.last_used_at
    ? html`<${Time} at=${key.last_used_at} />` : html`<span class="muted">${t('keys.never')}</span>`) },
  { key: 'expires_at', label: t('keys.expires'), cell: (key) => html`${key.expired
    ? html`<${State} state="expired" /> ` : null}${
    key.expires_at ? html`<${Time} at=${key.expires_at} />` : html`<span class="muted">${t('keys.expires_never')}</span>`}` },
  { key: 'networks', label: t('keys.from'), cell: (key) => (key.allowed_networks
    ? html`<${Names} values=${key.allowed_networks} />` : html`<span class="muted">${t('keys.from_anywhere')}</span>`) },
  { key: 'created_at', label: t('keys.created'), cell: (key) => html`<${Time} at=${key.created_at} />
    ${key.made_by && html`<div class="small muted">${rich('keys.made_by', { key: html`<${Maker} id=${key.made_by} name=${names.get(key.made_by)} />` })}</div>`}` },
  { key: 'actions', label: t('keys.actions'), hidden: true, align: 'end', cell: (key) => html`<div class="row row-end">
    <${Button} small onClick=${() => act('change', key)}>${t('keys.change')}<//>
    <${Button} small onClick=${() => act('revoke', key)}>${t('keys.revoke')}<//></div>` },
];

const PAGE_SIZE = 50;

function Keys() {
  const [query, setQuery] = useQuery();
  const list = usePages('/v1/keys', { limit: PAGE_SIZE });
  const [made, setMade] = useState(null);
  const [work, setWork] = useState(null);
  const names = new Map(list.items.map((key) => [key.id, key.name]));
  const toast = useToast();
  const done = (text) => { setWork(null); toast(text); list.reload(); };
  const isNew = query.new === 'true';
  const begin = html`<${Button} kind="primary" icon="plus" onClick=${() => setQuery({ new: 'true' })}>${t('keys.new')}<//>`;
  const close = () => setQuery({ new: null, tenant: null });
  return html`<div class="page stack">
    <${PageHead} title=${t('keys.title')} text=${t('keys.lead')} actions=${!isNew && begin} />
    ${isNew && html`<${Card} title=${t('keys.new')}><${KeyForm} tenant=${query.tenant} onClose=${close}
      onMade=${(key) => { setMade(key); close(); list.reload(); }} /><//>`}
    <${Card} flush><${Table} label=${t('keys.title')} rows=${list.items} columns=${columns((kind, entry) => setWork({ kind, entry }), names)}
      loading=${list.loading} error=${list.error} onRetry=${list.reload}
      empty=${html`<${Empty} icon="key" title=${t('keys.none.title')} text=${t('keys.none.text')} action=${begin} />`} />
    <${Pager} next=${list.next} onMore=${list.more} loading=${list.loadingMore} count=${list.items.length} /><//>
    <p class="muted small">${t('keys.note')}</p>
    ${made && html`<${MadeKey} made=${made} onClose=${() => setMade(null)} />`}
    ${work?.kind === 'change' && html`<${Change} entry=${work.entry} onClose=${() => setWork(null)} onChanged=${done} />`}
    ${work?.kind === 'revoke' && html`<${Revoke} entry=${work.entry} onClose=${() => setWork(null)} onRevoked=${done} />`}
  </div>`;
}

export function Page() {
  if (useSession()?.kind === 'operator') return html`<${Keys} />`;
  return html`<div class="page stack"><${PageHead} title=${t('keys.title')} />
    <${Empty} icon="lock" title=${t('keys.operators.title')} text=${t('keys.operators.text')} /></div>`;
}
