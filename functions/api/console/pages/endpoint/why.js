// Why an endpoint fails: what is known of its failures, grouped by what came of the last attempt, each with what to do. Pure
// counting and its display; the samples come from the API's lists.
import { html, useEffect, useState } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Time } from '../../lib/format.js';
import { Link, path } from '../../lib/router.js';
import { Button, Card, Code, ErrorBox, Loading, useAsync } from '../../lib/ui.js';
import { adviceText, lastAttempt, outcomeText } from '../parts/states.js';

/** Deliveries of each state that are looked through: the latest. */
const SAMPLE = 100;
/** States in which deliveries have failed attempts that are not concluded well. */
const FAILED_STATES = ['retrying', 'held', 'dead'];

/** The latest deliveries whose last attempt failed. */
async function readFailures(tenant, endpoint, signal) {
  const read = (state) => api('GET', tenantApi(tenant, 'deliveries'), { query: { endpoint, state, limit: SAMPLE }, signal });
  const pages = await Promise.all(FAILED_STATES.map(read));
  return pages.flatMap((page) => page.items).filter((delivery) => {
    const last = lastAttempt(delivery);
    return last && last.code !== 'ok';
  });
}

/** Failures by code and status, the most frequent first. */
export function grouped(deliveries) {
  const groups = new Map();
  for (const delivery of deliveries) {
    const last = lastAttempt(delivery);
    const key = `${last.code} ${last.status ?? ''}`;
    const group = groups.get(key) ?? { key, attempt: last, latest: delivery, count: 0 };
    group.count += 1;
    if (last.at > group.attempt.at) Object.assign(group, { attempt: last, latest: delivery });
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => b.count - a.count);
}

/** @param {{tenant: string, endpoint: object, health: object}} props */
export function Why({ tenant, endpoint, health }) {
  const failures = useAsync(({ signal }) => readFailures(tenant, endpoint.id, signal), [tenant, endpoint.id, health?.last_failure?.at]);
  if (!health.last_failure && (failures.data ?? []).length === 0) return null;
  const groups = grouped(failures.data ?? []);
  if (failures.data && groups.length === 0 && health.failures_in_row === 0) return null;
  const isFailing = ['failing', 'held', 'disabled'].includes(health.state);
  return html`<${Card} title=${t(isFailing ? 'endpoint.why' : 'endpoint.why_past')} text=${t('endpoint.why_about', { n: SAMPLE })}>
    ${failures.error && html`<${ErrorBox} error=${failures.error} onRetry=${failures.reload} />`}
    ${!failures.data && !failures.error && html`<${Loading} rows=${4} />`}
    ${failures.data && groups.length === 0 && health.last_failure && html`<${Lone} failure=${health.last_failure} />`}
    ${groups.length > 0 && html`<ul class="whys">${groups.map((group, at) => html`<${Group} key=${group.key} tenant=${tenant} group=${group} isFirst=${at === 0} />`)}</ul>`}
  <//>`;
}

/** The last failure of an endpoint whose deliveries all went through in the end. */
function Lone({ failure }) {
  return html`<p><strong>${outcomeText(failure)}</strong> · <${Time} at=${failure.at} /></p>
    <p>${adviceText(failure)}</p><p class="muted">${t('endpoint.why_over')}</p>`;
}

function Group({ tenant, group: { attempt, latest, count }, isFirst }) {
  return html`<li class="why">
    <p><strong>${outcomeText(attempt)}</strong> <code class="small" dir="ltr">${attempt.code}</code></p>
    <p>${adviceText(attempt)}</p>
    <p class="small muted">${t('endpoint.why_count', { n: count })} · ${t('endpoint.why_latest')} <${Time} at=${attempt.at} /> ·${' '}
      <${Link} href=${path('t', tenant, 'deliveries', latest.id)}>${t('endpoint.why_open')}<//></p>
    <${Answered} tenant=${tenant} delivery=${latest} n=${attempt.n} isAnswered=${attempt.status !== null} isOpen=${isFirst} />
  </li>`;
}

/** What the receiver said last: often the reason itself. That of the most frequent failure is there; others are asked for. */
function Answered({ tenant, delivery, n, isAnswered, isOpen }) {
  const [shown, setShown] = useState({ isOpen, text: null, error: null });
  const open = async () => {
    setShown({ isOpen: true, text: null, error: null });
    try {
      const whole = await api('GET', tenantApi(tenant, 'deliveries', delivery.id));
      setShown({ isOpen: true, text: whole.attempts.find((attempt) => attempt.n === n)?.response ?? '', error: null });
    } catch (error) {
      setShown({ isOpen: true, text: null, error });
    }
  };
  useEffect(() => { if (isOpen && isAnswered) open(); }, []);
  if (!isAnswered) return null;
  if (!shown.isOpen) return html`<${Button} small onClick=${open}>${t('endpoint.why_answer')}<//>`;
  if (shown.error) return html`<${ErrorBox} error=${shown.error} onRetry=${open} />`;
  if (shown.text === null) return html`<${Loading} rows=${1} />`;
  return shown.text === '' ? html`<p class="small muted">${t('endpoint.why_no_body')}</p>`
    : html`<${Code} text=${shown.text} label=${t('endpoint.why_said')} wrap />`;
}

