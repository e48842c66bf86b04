// How requests look and how often they are repeated: profile, payload, time to answer, retries, rate, dead letters.
import { html } from '../../../lib/preact.js';
import { t } from '../../../lib/i18n.js';
import { Checkbox, Field, Select, TextInput } from '../../../lib/ui.js';
import { blame, retryBody } from '../draft.js';
import { scheduleText } from './schedule.js';

const PROFILES = ['standard', 'voicehub', 'utel'];
const PAYLOADS = ['full', 'thin'];
const RETRIES = ['default', 'list', 'growing', 'fixed'];

/* messages: endpoints.profile.* endpoints.profile_hint.* endpoints.payload.* endpoints.payload_hint.* endpoints.retry.* */

export function DeliveryForm({ draft, set, error }) {
  const choice = (name, value, label, hint) => html`<${Checkbox} key=${value} type="radio" name=${`choice-${name}`}
    checked=${draft[name] === value} onChange=${() => set({ [name]: value })} label=${label} hint=${hint} />`;
  return html`
    <${Field} group label=${t('endpoints.profile')} hint=${t('endpoints.profile_about')} error=${blame(error, 'profile')}>
      ${PROFILES.map((one) => choice('profile', one, t(`endpoints.profile.${one}`), t(`endpoints.profile_hint.${one}`)))}
    <//>
    <${Field} group label=${t('endpoints.payload')} error=${blame(error, 'payload')}>
      ${PAYLOADS.map((one) => choice('payload', one, t(`endpoints.payload.${one}`), t(`endpoints.payload_hint.${one}`)))}
    <//>
    <${Field} label=${t('endpoints.timeout')} hint=${t('endpoints.timeout_hint')} error=${blame(error, 'timeout_ms')}>
      <${NumberInput} value=${draft.timeoutMs} onInput=${(timeoutMs) => set({ timeoutMs })} />
    <//>
    <${RetryForm} retry=${draft.retry} set=${(part) => set({ retry: { ...draft.retry, ...part } })} error=${error} />
    <${Field} label=${t('endpoints.rate')} hint=${t('endpoints.rate_hint')} optional error=${blame(error, 'rate_limit')}>
      <${NumberInput} value=${draft.rateLimit} onInput=${(rateLimit) => set({ rateLimit })} />
    <//>
    <${Field} group label=${t('endpoints.dead')} error=${error?.field === 'dead_letter' ? error.detail : blame(error, 'dead_letter.keep')}>
      <${Checkbox} checked=${draft.keepDead} onChange=${(keepDead) => set({ keepDead })} label=${t('endpoints.dead_keep')}
        hint=${t('endpoints.dead_keep_hint')} />
    <//>
    ${draft.keepDead && html`<${Field} label=${t('endpoints.dead_days')} hint=${t('endpoints.dead_days_hint')} optional
      error=${blame(error, 'dead_letter.days')}>
      <${NumberInput} value=${draft.deadDays} onInput=${(deadDays) => set({ deadDays })} />
    <//>`}`;
}

/** Text, not a number field: what is no number is shown to the API as it was typed, which says what is wrong with it. */
const NumberInput = (props) => html`<${TextInput} mono inputmode="numeric" class="short" ...${props} />`;

/** The fields of each form of the policy: its name here, in messages and in the API. */
const FIELDS = {
  list: [['delays', 'delays']],
  growing: [['baseS', 'base_s'], ['factor', 'factor']],
  fixed: [['delayMs', 'delay_ms']],
};

/* messages: endpoints.retry_field.* endpoints.retry_field_hint.* */

function RetryForm({ retry, set, error }) {
  const options = RETRIES.map((kind) => ({ value: kind, label: t(`endpoints.retry.${kind}`) }));
  const field = ([name, inApi]) => html`<${Field} key=${inApi} label=${t(`endpoints.retry_field.${inApi}`)}
    hint=${t(`endpoints.retry_field_hint.${inApi}`)} error=${blame(error, `retry.${inApi}`)}>
    <${TextInput} mono inputmode=${inApi === 'delays' ? 'text' : 'decimal'} value=${retry[name]} onInput=${(value) => set({ [name]: value })} />
  <//>`;
  const policy = retryBody(retry);
  return html`
    <${Field} label=${t('endpoints.retries')} hint=${t('endpoints.retries_hint')} error=${error?.field === 'retry' ? error.detail : null}>
      <${Select} value=${retry.kind} onChange=${(kind) => set({ kind })} options=${options} />
    <//>
    ${(FIELDS[retry.kind] ?? []).map(field)}
    ${retry.kind !== 'default' && field(['attempts', 'attempts'])}
    ${policy && isWhole(policy) && html`<p class="muted" role="status">${scheduleText(policy)}</p>`}`;
}

/** True if every number of the policy is one: only then can it be said what it means. */
function isWhole(policy) {
  const numbers = [policy.attempts ?? 1, ...(policy.delays ?? []), policy.base_s ?? 1, policy.factor ?? 1, policy.delay_ms ?? 1];
  return (policy.delays?.length ?? 1) > 0 && numbers.every((value) => typeof value === 'number') && (policy.attempts ?? 1) <= 20;
}

