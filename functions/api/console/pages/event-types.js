// The catalogue: the types that ship and the tenant's own, by group, searched and filtered in the query string; and the form of
// a new own type. Changes no type that ships.
import { html, useMemo } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { canWrite } from '../lib/session.js';
import { Link, navigate, useQuery } from '../lib/router.js';
import { Button, Card, Empty, ErrorBox, FilterBar, Loading, PageHead, useAsync } from '../lib/ui.js';
import { TypeBadges, TypeForm, groupName, typePath } from './parts/event-type-form.js';
import { all } from '../lib/api.js';
import { inTenant } from './parts/texts.js';

export const areas = ['event-types'];

const ORIGINS = ['shipped', 'own'];
const STATES = ['active', 'deprecated', 'archived'];
/// Most types that are read: what ships and the most that a tenant may have of its own.
const MOST_TYPES = 1000;

/// Whether a type has every word of the search in its name, description or group.
function fits(type, words) {
  const text = `${type.name} ${type.group} ${type.description}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

/// `[group, types]` in the order of the list; own groups after those that ship.
function grouped(types) {
  const groups = new Map();
  for (const type of types) groups.set(type.group, [...(groups.get(type.group) ?? []), type]);
  return [...groups];
}

/* messages: event-types.origin_name.* event-types.state_name.* */
function Filters() {
  const named = (key, values) => values.map((value) => ({ value, label: t(`event-types.${key}_name.${value}`) }));
  return html`<${FilterBar} fields=${[
    { key: 'q', label: t('event-types.search'), placeholder: t('event-types.search_example'), mono: false, wide: true },
    { key: 'origin', label: t('event-types.every_origin'), type: 'select', options: named('origin', ORIGINS) },
    { key: 'state', label: t('event-types.every_state'), type: 'select', options: named('state', STATES) },
  ]} />`;
}

function Group({ tenant, name, types }) {
  const id = `group-${name}`;
  return html`<section aria-labelledby=${id} class="type-section">
    <h2 id=${id}><bdi>${groupName(name)}</bdi></h2>
    <ul class="type-list">${types.map((type) => html`<li key=${type.name}>
      <${Link} href=${typePath(tenant, type.name)} class="type-link">
        <code dir="ltr">${type.name}</code> <${TypeBadges} type=${type} />
        <span class="muted" dir="auto" lang=${type.origin === 'shipped' ? 'en' : null}>${type.description}</span>
      <//>
    </li>`)}</ul>
  </section>`;
}

function List({ tenant, types, query, setQuery, onNew }) {
  const words = (query.q ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  const shown = useMemo(() => types.filter((type) => fits(type, words)
    && (!query.origin || type.origin === query.origin) && (!query.state || type.state === query.state)),
  [types, query.q, query.origin, query.state]);
  if (shown.length === 0) {
    const isOwn = query.origin === 'own' && words.length === 0 && !query.state;
    return html`<${Empty} title=${t(isOwn ? 'event-types.none_own.title' : 'event-types.none.title')}
      text=${t(isOwn ? 'event-types.none_own.text' : 'event-types.none.text')}
      action=${isOwn && onNew ? html`<${Button} kind="primary" onClick=${onNew}>${t('event-types.new')}<//>`
        : html`<${Button} kind="plain" onClick=${() => setQuery({ q: null, origin: null, state: null })}>${t('event-types.clear')}<//>`} />`;
  }
  return html`<p class="muted small" aria-live="polite">${t('event-types.shown', { n: shown.length })}</p>
    ${grouped(shown).map(([name, members]) => html`<${Group} key=${name} tenant=${tenant} name=${name} types=${members} />`)}`;
}

export function Page({ params }) {
  const { tenant } = params;
  const [query, setQuery] = useQuery();
  const { data: types, error, reload } = useAsync(({ signal }) => all(inTenant(tenant, 'event-types'), {}, { signal, most: MOST_TYPES }), [tenant]);
  const isNew = canWrite() && query.new === 'true';
  const onNew = canWrite() ? () => setQuery({ new: 'true' }) : null;
  return html`<div class="page stack">
    <${PageHead} title=${t('event-types.title')} text=${t('event-types.lead')} actions=${onNew && !isNew
      && html`<${Button} kind="primary" icon="plus" onClick=${onNew}>${t('event-types.new')}<//>`} />
    ${isNew && html`<${Card} title=${t('event-types.new')}>
      <${TypeForm} tenant=${tenant} taken=${(types ?? []).map((type) => type.name)} onClose=${() => setQuery({ new: null })}
        onSaved=${(type) => navigate(typePath(tenant, type.name))} /><//>`}
    <${Filters} />
    ${error ? html`<${ErrorBox} error=${error} onRetry=${reload} />`
      : types ? html`<${List} tenant=${tenant} types=${types} query=${query} setQuery=${setQuery} onNew=${onNew} />`
        : html`<${Loading} />`}
  </div>`;
}
