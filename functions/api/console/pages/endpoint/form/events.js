// Which events an endpoint gets: all, or types chosen from the catalogue, group by group, and prefixes; of all agents or some.
import { html, useMemo, useState } from '../../../lib/preact.js';
import { has, t } from '../../../lib/i18n.js';
import { Checkbox, ErrorBox, Field, Loading, TagInput, TextInput } from '../../../lib/ui.js';
import { blame, wantsType } from '../draft.js';

/** An endpoint's filter names at most so many types. docs/LIMITS.md. */
const MOST_TYPES = 50;

/** @param {{draft: object, set: Function, error: object, types: {data: object[], loading: boolean, error: object, reload: Function}}} props */
export function EventsForm({ draft, set, error, types }) {
  const { isChoosing } = draft;
  return html`
    <${Field} group label=${t('endpoints.events')} hint=${t('endpoints.events_hint')} error=${blame(error, 'event_types')}>
      <${Checkbox} type="radio" name="which-events" checked=${!isChoosing} onChange=${() => set({ isChoosing: false, eventTypes: [] })} label=${t('endpoints.events_all')}
        hint=${t('endpoints.events_all_hint')} />
      <${Checkbox} type="radio" name="which-events" checked=${isChoosing} onChange=${() => set({ isChoosing: true })} label=${t('endpoints.events_some')}
        hint=${t('endpoints.events_some_hint')} />
    <//>
    ${isChoosing && html`<${Catalogue} chosen=${draft.eventTypes} types=${types} onChange=${(eventTypes) => set({ eventTypes })} />`}
    <${Field} label=${t('endpoints.agents')} hint=${t('endpoints.agents_hint')} optional error=${blame(error, 'agents')}>
      <${TagInput} values=${draft.agents} onChange=${(agents) => set({ agents })} placeholder="agt_7" />
    <//>
    <${Field} label=${t('endpoints.exclude_agents')} hint=${t('endpoints.exclude_agents_hint')} optional error=${blame(error, 'exclude_agents')}>
      <${TagInput} values=${draft.excludeAgents} onChange=${(excludeAgents) => set({ excludeAgents })} placeholder="agt_8" />
    <//>`;
}

const chosenText = (chosen) => (chosen.length === 0 ? t('endpoints.chosen_none') : t('endpoints.chosen', { n: chosen.length }));

/* messages: endpoints.group.* */

/** A group's heading; the tenant's own groups are shown as they are called. */
export const groupName = (group) => (has(`endpoints.group.${group}`) ? t(`endpoints.group.${group}`) : group);

/** Types by group, in the catalogue's order. */
export function byGroup(types) {
  const groups = new Map();
  for (const type of types) groups.set(type.group, [...(groups.get(type.group) ?? []), type]);
  return [...groups].map(([group, members]) => ({ group, members }));
}

function Catalogue({ chosen, types, onChange }) {
  const [search, setSearch] = useState('');
  const wanted = search.trim().toLowerCase();
  const groups = useMemo(() => byGroup((types.data ?? []).filter((type) => type.state !== 'archived')), [types.data]);
  if (types.error) return html`<${ErrorBox} error=${types.error} onRetry=${types.reload} />`;
  if (!types.data) return html`<${Loading} />`;
  const known = new Set(types.data.map((type) => type.name));
  const shown = groups
    .map(({ group, members }) => ({ group, members: members.filter((type) => fits(type, wanted)) }))
    .filter(({ members }) => members.length > 0);
  const patterns = chosen.filter((name) => !known.has(name));
  return html`<div class="catalogue">
    <${TextInput} type="search" label=${t('endpoints.search_types')} placeholder=${t('endpoints.search_types')} value=${search} onInput=${setSearch} />
    <div class="catalogue-list">
      ${shown.map(({ group, members }) => html`<${Group} key=${group} group=${group} members=${members} chosen=${chosen} onChange=${onChange} />`)}
      ${shown.length === 0 && html`<p class="muted">${t('endpoints.no_types', { search })}</p>`}
    </div>
    <p class=${chosen.length === 0 ? 'tone-warn' : 'muted'} role="status">${chosenText(chosen)}</p>
    <${Field} label=${t('endpoints.prefixes')} hint=${t('endpoints.prefixes_hint')} optional>
      <${TagInput} values=${patterns} placeholder="call.*" onChange=${(given) => onChange([...chosen.filter((name) => known.has(name)), ...given])} />
    <//>
    ${chosen.length > MOST_TYPES && html`<p class="field-error">${t('endpoints.too_many_types', { n: MOST_TYPES })}</p>`}
  </div>`;
}

function fits(type, wanted) {
  if (wanted === '') return true;
  return type.name.toLowerCase().includes(wanted) || type.description.toLowerCase().includes(wanted);
}

function Group({ group, members, chosen, onChange }) {
  const names = members.map((type) => type.name);
  const isWhole = names.every((name) => chosen.includes(name));
  const others = chosen.filter((name) => !names.includes(name));
  const toggle = (name, isOn) => onChange(isOn ? [...chosen, name] : chosen.filter((other) => other !== name));
  return html`<fieldset class="type-group">
    <legend><${Checkbox} checked=${isWhole} onChange=${(isOn) => onChange(isOn ? [...others, ...names] : others)}
      label=${html`<strong><bdi>${groupName(group)}</bdi></strong>`} /></legend>
    ${members.map((type) => {
      const byPrefix = !chosen.includes(type.name) && chosen.length > 0 && wantsType(chosen, type.name);
      return html`<${Checkbox} key=${type.name} checked=${byPrefix || chosen.includes(type.name)} disabled=${byPrefix}
        onChange=${(isOn) => toggle(type.name, isOn)} label=${html`<code dir="ltr">${type.name}</code>`}
        hint=${html`<bdi>${type.description}</bdi>${type.state === 'deprecated' ? ` ${t('endpoints.deprecated')}` : ''}`} />`;
    })}
  </fieldset>`;
}
