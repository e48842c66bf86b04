// A backlog in numbers: how much waits, why, of what and since when; what would be touched of it. Reads only.
import { html, useEffect, useState } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { duration, number } from '../../lib/format.js';
import { useAsync } from '../../lib/ui.js';
import { reasonText } from '../parts/states.js';
import { Told, filled } from '../parts/texts.js';

/** Numbers are asked for again this long after somebody stopped typing. */
const PAUSE_MS = 400;

export const newWish = (choice) => ({ choice, isPart: false, since: '', types: [], agents: [], rate: '', typed: '' });

/** The backlog with what was asked for counted in it: `{data, error, loading}`; counted anew when `stamp` changes. */
export function useBacklog(tenant, endpoint, wish, stamp = '') {
  const { since, types, agents, isPart } = wish;
  const asked = isPart ? filled({ since, event_types: types, agents }) : {};
  const key = JSON.stringify(asked);
  const [settled, setSettled] = useState(key);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(key), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [key]);
  const read = ({ signal }) => api('GET', tenantApi(tenant, 'endpoints', endpoint, 'backlog'), { query: JSON.parse(settled), signal });
  const answer = useAsync(read, [tenant, endpoint, settled, stamp]);
  return { ...answer, isSettled: settled === key && !answer.loading };
}

/** A count that may be a lower bound. */
export const countText = ({ count, at_least: atLeast }) => (atLeast ? t('endpoint.at_least', { count }) : number(count));

/** How much waits, why, of what and since when. */
export function BacklogNumbers({ backlog }) {
  const { held, by_reason: reasons, by_type: types, by_age: ages } = backlog;
  if (held.count === 0) return html`<p>${t('endpoint.backlog_empty')}</p>`;
  return html`<div class="backlog-numbers">
    <p class="big">${t('endpoint.held', { count: countText(held) })}</p>
    <ul class="plain">${reasons.map(({ reason, sentence, count }) => html`<li key=${reason}>
      <strong class="num">${number(count)}</strong> ${reasonText(reason) === reason || !reason ? html`<${Told} text=${sentence} />` : reasonText(reason)}</li>`)}</ul>
    <div class="columns">
      <div><h3>${t('endpoint.by_type')}</h3><ul class="plain">${types.slice(0, 6).map(({ event_type: type, count }) => html`<li key=${type}>
        <strong class="num">${number(count)}</strong> <code dir="ltr">${type}</code></li>`)}</ul></div>
      <div><h3>${t('endpoint.by_age')}</h3><ul class="plain">${ages.filter(({ count }) => count > 0).map((age) => html`<li key=${age.from_s}>
        <strong class="num">${number(age.count)}</strong> ${ageText(age)}</li>`)}</ul></div>
    </div>
  </div>`;
}

function ageText({ from_s: from, to_s: to }) {
  if (to === null) return t('endpoint.age_over', { from: duration(from * 1000) });
  if (from <= 0) return t('endpoint.age_under', { to: duration(to * 1000) });
  return t('endpoint.age', { from: duration(from * 1000), to: duration(to * 1000) });
}
