// An endpoint's settings as facts, for those who may only read. Secret parts are named, never shown.
import { html } from '../../../lib/preact.js';
import { t } from '../../../lib/i18n.js';
import { Time, duration, number } from '../../../lib/format.js';
import { KeyValue } from '../../../lib/ui.js';
import { scheduleText } from './schedule.js';

/* messages: endpoints.profile.* endpoints.payload.* endpoints.auth.* endpoints.retry.* */

const codes = (values) => values.map((value) => html`<code key=${value} dir="ltr">${value}</code> `);

/** @param {{view: object}} props an endpoint as the API shows it */
export function Summary({ view }) {
  const labels = Object.entries(view.metadata);
  return html`<${KeyValue} items=${[
    [t('endpoints.url'), html`<bdi class="mono" dir="ltr">${view.url}</bdi>`],
    [t('endpoints.description'), view.description && html`<bdi>${view.description}</bdi>`],
    [t('endpoints.labels'), labels.length > 0 && labels.map(([name, value]) => html`<span key=${name}><bdi>${name}</bdi>: <bdi>${value}</bdi> </span>`)],
    [t('endpoints.events'), view.event_types.length === 0 ? t('endpoints.events_all') : codes(view.event_types)],
    [t('endpoints.agents'), view.agents.length === 0 ? t('endpoints.agents_all') : codes(view.agents)],
    [t('endpoints.exclude_agents'), view.exclude_agents.length > 0 && codes(view.exclude_agents)],
    [t('endpoints.authentication'), authText(view.auth)],
    [t('endpoints.headers'), view.header_names.length > 0 && codes(view.header_names)],
    [t('endpoints.profile'), t(`endpoints.profile.${view.profile}`)],
    [t('endpoints.payload'), t(`endpoints.payload.${view.payload}`)],
    [t('endpoints.timeout_fact'), duration(view.timeout_ms)],
    [t('endpoints.retries'), retryText(view.retry)],
    [t('endpoints.rate_fact'), view.rate_limit === null ? t('endpoints.rate_none') : t('endpoints.rate_per_s', { rate: view.rate_limit })],
    [t('endpoints.dead'), deadText(view.dead_letter)],
    [t('endpoints.created'), view.created_at && html`<${Time} at=${view.created_at} mode="exact" />`],
    [t('endpoints.updated'), view.updated_at && html`<${Time} at=${view.updated_at} mode="exact" />`],
  ].filter(([, value]) => value)} />`;
}

/** Authentication in a few words; `null`: the signature alone. */
export function authText(auth) {
  if (!auth) return t('endpoints.auth_signature');
  const detail = auth.type === 'api_key' ? auth.header : auth.type === 'basic' ? auth.username : '';
  return html`${t('endpoints.auth_and_signature', { kind: t(`endpoints.auth.${auth.type}`) })}${detail && html` <code dir="ltr">${detail}</code>`}`;
}

const retryText = (policy) => (policy ? scheduleText(policy) : t('endpoints.retry.default'));

function deadText({ keep, days }) {
  if (keep === false) return t('endpoints.dead_not_kept');
  return days ? t('endpoints.dead_kept_days', { days: number(days) }) : t('endpoints.dead_kept');
}
