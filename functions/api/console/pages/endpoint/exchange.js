// A test in full: what came of it in a sentence, how long each step took, the request as sent and the answer as it came. All of
// the answer is the receiver's text: shown as text alone.
import { html, useState } from '../../lib/preact.js';
import { has, language, t } from '../../lib/i18n.js';
import { duration, number } from '../../lib/format.js';
import { Code, Copy, Notice, Tabs } from '../../lib/ui.js';
import { Json } from '../../lib/json.js';
import { adviceText } from '../parts/states.js';

/* messages: endpoint.outcome.* endpoint.step.* endpoint.failed_at.* */

/** @param {{exchange: object}} props an answer of `POST .../test` */
export function Exchange({ exchange }) {
  const [tab, setTab] = useState('response');
  const tabs = [{ key: 'response', label: t('endpoint.response') }, { key: 'request', label: t('endpoint.request') }];
  return html`<div class="exchange stack">
    <${Diagnosis} exchange=${exchange} />
    <${Steps} exchange=${exchange} />
    <${Tabs} tabs=${tabs} active=${tab} onChange=${setTab} label=${t('endpoint.exchange')} />
    ${tab === 'request' ? html`<${Request} request=${exchange.request} />` : html`<${Response} response=${exchange.response} />`}
  </div>`;
}

/** What happened and what to mend. The server says it in English, most exactly; other languages have it by its code, too. */
function Diagnosis({ exchange }) {
  const { ok, code, response, explanation, advice } = exchange;
  const isEnglish = language() === 'en';
  const own = `endpoint.outcome.${code}`;
  const said = isEnglish || !has(own) ? explanation : t(own, { status: String(response?.status ?? '') });
  const mend = isEnglish ? advice : ok ? null : adviceText({ code, status: response?.status ?? null }) || advice;
  return html`<${Notice} kind=${ok ? 'good' : 'bad'} title=${ok ? t('endpoint.test_ok') : t('endpoint.test_failed', { step: t(`endpoint.failed_at.${exchange.failed_at}`) })}>
    <p><bdi>${said}</bdi></p>
    ${mend && html`<p><bdi>${mend}</bdi></p>`}
    ${!isEnglish && !ok && html`<p class="muted">${t('endpoint.in_english')} <bdi lang="en" dir="ltr">${[explanation, advice].filter(Boolean).join(' ')}</bdi></p>`}
  <//>`;
}

const STEPS = [
  ['dns', 'dns_ms'],
  ['connect', 'connect_ms'],
  ['tls', 'tls_ms'],
  ['response', 'first_byte_ms'],
];
/** Steps that `failed_at` names and the timings do not: the bar that they belong to. */
const BAR_OF_STEP = { request: 'response', policy: 'dns' };
/** The width of the drawing, in its own units. */
const WIDTH = 100;

/** The steps one after the other, each as long as it took; the one that failed is marked and named. */
function Steps({ exchange }) {
  const { timings, failed_at: failedAt, addresses, address } = exchange;
  const failed = BAR_OF_STEP[failedAt] ?? failedAt;
  const whole = Math.max(1, timings.total_ms ?? 0, STEPS.reduce((sum, [, name]) => sum + (timings[name] ?? 0), 0));
  let start = 0;
  let isOver = false;
  const rows = STEPS.map(([step, name]) => {
    const took = timings[name];
    const isFailed = step === failed;
    const row = { step, took, from: start, isFailed, isReached: !isOver };
    isOver ||= isFailed;
    start += took ?? 0;
    return row;
  });
  return html`<section aria-label=${t('endpoint.timings')}>
    <h3>${t('endpoint.timings')}</h3>
    <table class="steps"><tbody>${rows.map(({ step, took, from, isFailed, isReached }) => html`<tr key=${step} class=${isFailed ? 'step-failed' : ''}>
      <th scope="row">${t(`endpoint.step.${step}`)}</th>
      <td class="step-bar"><svg viewBox=${`0 0 ${WIDTH} 4`} preserveAspectRatio="none" aria-hidden="true">
        <rect class="step-all" width=${WIDTH} height="4" />
        ${took !== null && html`<rect class="step-part" x=${(from / whole) * WIDTH} width=${Math.max(1, (took / whole) * WIDTH)} height="4" />`}
      </svg></td>
      <td class="end">${took === null ? html`<span class="small muted">${isFailed ? '' : t(isReached ? 'endpoint.step_unneeded' : 'endpoint.step_unreached')}</span>` : duration(took)}${isFailed ? html` <strong>${t('endpoint.step_failed')}</strong>` : ''}</td>
    </tr>`)}</tbody></table>
    <p class="muted">${timings.total_ms !== null && html`${t('endpoint.total', { total: duration(timings.total_ms) })} `}
      ${address ? html`${t('endpoint.answered_from')} <code dir="ltr">${address}</code>`
        : addresses.length > 0 && html`${t('endpoint.addresses')} <code dir="ltr">${addresses.join(', ')}</code>`}</p>
  </section>`;
}

function Request({ request }) {
  return html`<div class="stack">
    <p><code dir="ltr">${request.method} ${request.url}</code> <${Copy} text=${request.url} /></p>
    <${Headers} headers=${request.headers} />
    <h4>${t('endpoint.body')}</h4>
    <${Body} text=${request.body} />
  </div>`;
}

function Response({ response }) {
  if (!response) return html`<p class="muted">${t('endpoint.no_response')}</p>`;
  return html`<div class="stack">
    <p><code dir="ltr">${response.version} ${String(response.status)}</code></p>
    <${Headers} headers=${response.headers} />
    ${response.headers_cut && html`<p class="muted">${t('endpoint.headers_cut', { n: response.headers.length })}</p>`}
    <h4>${t('endpoint.body')}</h4>
    ${response.body === '' ? html`<p class="muted">${t('endpoint.body_empty')}</p>` : html`<${Body} text=${response.body} />`}
    ${response.body_cut && html`<p class="muted">${t('endpoint.body_cut')}</p>`}
  </div>`;
}

function Headers({ headers }) {
  return html`<details open class="headers"><summary>${t('endpoint.headers', { n: headers.length })}</summary>
    <table class="headers-table" dir="ltr"><tbody>${headers.map(({ name, value }, at) => html`<tr key=${at}>
      <th scope="row"><code><bdi>${name}</bdi></code></th><td><code><bdi>${value}</bdi></code></td></tr>`)}</tbody></table>
  </details>`;
}

/** JSON folds and can be searched; anything else is text. */
function Body({ text }) {
  return isObject(text) ? html`<${Json} text=${text} />` : html`<${Code} text=${text} />`;
}

function isObject(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}

/** How often an endpoint may be tested. docs/LIMITS.md. */
export const testLimitText = () => t('endpoint.test_limit', { minute: number(10), row: number(5) });
