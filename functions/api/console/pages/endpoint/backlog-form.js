// What becomes of a backlog: drained, kept or discarded, whole or in part, with its numbers before anything is done. Asks the API
// for numbers only; the dialogs that use it do the rest.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { fromLocalInput, toLocalInput } from '../../lib/ui/filters.js';
import { Checkbox, ErrorBox, Field, Loading, TagInput, TextInput } from '../../lib/ui.js';
import { filled } from '../parts/texts.js';
import { BacklogNumbers, countText } from './backlog.js';
import { blame, numberOrText } from './blame.js';

/** What narrows a drain or a discard, as the API takes it. */
export function narrowed({ choice, isPart, since, types, agents, rate }) {
  const part = isPart ? { since, event_types: types, agents } : {};
  return filled({ ...part, rate: choice === 'drain' ? numberOrText(rate) : null });
}

/** True if the wish may be carried out: a discard wants a word first. */
export const isReady = (wish) => wish.choice !== 'discard' || wish.typed.trim() === t('endpoint.discard_word');

/* messages: endpoint.choice.* endpoint.choice_hint.* endpoint.do.* */

/** @param {{choices: string[], wish: object, set: Function, backlog: object, error: object|null}} props */
export function BacklogForm({ choices, wish, set, backlog, error }) {
  if (backlog.error) return html`<${ErrorBox} error=${backlog.error} onRetry=${backlog.reload} />`;
  if (!backlog.data) return html`<${Loading} rows=${3} />`;
  const { held, matching } = backlog.data;
  const known = backlog.data.by_type.map((one) => one.event_type);
  const narrows = wish.choice !== 'keep';
  return html`
    <${BacklogNumbers} backlog=${backlog.data} />
    <${Field} group label=${t('endpoint.choices')} error=${blame(error, 'backlog', 'action')}>
      ${choices.map((choice) => html`<${Checkbox} key=${choice} type="radio" name="backlog-choice" checked=${wish.choice === choice}
        onChange=${() => set({ choice })} label=${t(`endpoint.choice.${choice}`)} hint=${t(`endpoint.choice_hint.${choice}`)} />`)}
    <//>
    ${narrows && html`<${Checkbox} checked=${wish.isPart} onChange=${(isPart) => set({ isPart })} label=${t('endpoint.only_part')} hint=${t('endpoint.only_part_hint')} />`}
    ${narrows && wish.isPart && html`
      <${Field} label=${t('endpoint.part_since')} error=${blame(error, 'since')}>
        <${TextInput} type="datetime-local" value=${toLocalInput(wish.since)} onInput=${(text) => set({ since: fromLocalInput(text) ?? '' })} /><//>
      <${Field} label=${t('endpoint.part_types')} error=${blame(error, 'event_types')}>
        <${TagInput} values=${wish.types} suggestions=${known} placeholder="call.*" onChange=${(types) => set({ types })} /><//>
      <${Field} label=${t('endpoint.part_agents')} error=${blame(error, 'agents')}>
        <${TagInput} values=${wish.agents} placeholder="agt_7" onChange=${(agents) => set({ agents })} /><//>`}
    ${wish.choice === 'drain' && html`<${Field} label=${t('endpoint.drain_rate')} hint=${t('endpoint.drain_rate_hint')} optional error=${blame(error, 'rate')}>
      <${TextInput} mono inputmode="numeric" class="short" value=${wish.rate} onInput=${(rate) => set({ rate })} /><//>`}
    <p role="status"><strong>${backlog.isSettled
      ? t(`endpoint.do.${wish.choice}`, { count: countText(narrows ? matching : held) })
      : t('endpoint.counting')}</strong></p>
    ${wish.choice === 'discard' && html`<${Field} label=${t('common.confirm.type', { word: t('endpoint.discard_word') })}>
      <${TextInput} value=${wish.typed} onInput=${(typed) => set({ typed })} autocomplete="off" /><//>`}`;
}
