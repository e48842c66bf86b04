// States as a word with an icon and a colour, never a colour alone. One table for deliveries, endpoints, replays, types and keys.
import { html } from '../preact.js';
import { has, t } from '../i18n.js';
import { Icon } from '../icons.js';

/* messages: common.state.* */
const STATES = {
  // deliveries
  queued: ['info', 'clock'],
  retrying: ['warn', 'replay'],
  held: ['warn', 'hold'],
  succeeded: ['good', 'check'],
  dead: ['bad', 'cross'],
  canceled: ['mute', 'ban'],
  // endpoints and their health
  active: ['good', 'check'],
  inactive: ['mute', 'dot'],
  paused: ['warn', 'pause'],
  disabled: ['bad', 'ban'],
  healthy: ['good', 'check'],
  failing: ['bad', 'warn'],
  on_hold: ['bad', 'hold'],
  recovering: ['info', 'replay'],
  // replays
  pending: ['info', 'clock'],
  counting: ['info', 'clock'],
  running: ['info', 'play'],
  done: ['good', 'check'],
  failed: ['bad', 'cross'],
  canceling: ['warn', 'ban'],
  // event types, keys
  deprecated: ['warn', 'warn'],
  archived: ['mute', 'ban'],
  revoked: ['mute', 'ban'],
  expired: ['mute', 'clock'],
  // tenants at a glance
  attention: ['warn', 'warn'],
  quiet: ['mute', 'dot'],
};

/** 'good', 'bad', 'warn', 'info' or 'mute'. */
export const toneOf = (state) => STATES[state]?.[0] ?? 'mute';

/** `{state, reason, label}`: the word of a state, with `reason` beside it; an unknown state shows as it is. */
export function State({ state, reason, label, tone, icon }) {
  const [known, drawn] = STATES[state] ?? ['mute', 'dot'];
  const key = `common.state.${state}`;
  const word = label ?? (has(key) ? t(key) : state);
  return html`<span class="state-row"><span class=${`state state-${tone ?? known}`}><${Icon} name=${icon ?? drawn} />${word}</span>
    ${reason && html`<span class="state-reason">${reason}</span>`}</span>`;
}
