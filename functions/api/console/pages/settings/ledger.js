// The ledger checked: whether what events promised fits what is recorded, page after page of time, and each difference with what
// it is and what is being done about it. What was asked for is in the query string: a reload checks it again. Reads only.
import { html, useEffect, useRef, useState } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Time, number } from '../../lib/format.js';
import { Button, Card, ErrorBox, Field, Id, KeyValue, Notice, Progress, Select, Stat, State } from '../../lib/ui.js';
import { endpointOptions, useEndpoints } from '../parts/endpoints.js';
import { deliveryPath, endpointPath, eventPath, replayPath } from '../parts/place.js';
import { Told, filled, inTenant } from '../parts/texts.js';

/// Stretches offered, in hours; 31 days is the most that the API takes.
const STRETCHES_H = { '1h': 1, '24h': 24, '7d': 168, '31d': 744 };
const USUAL = '24h';
const HOUR_MS = 3_600_000;
const STATES = ['succeeded', 'queued', 'retrying', 'held', 'dead', 'canceled'];
/// Most differences that are kept on the page.
const MOST_SHOWN = 200;

const zero = () => Object.fromEntries(STATES.map((state) => [state, 0]));
const sum = (one, other) => Object.fromEntries(STATES.map((state) => [state, one[state] + other[state]]));

/// What is known before the first page.
const nothing = () => ({ matched: 0, states: zero(), replays: zero(), expired: 0, unreadable: 0, omitted: 0, differences: [], part: 0 });

/// The pages until here with one more.
function joined(before, page) {
  const differences = [...before.differences, ...page.differences];
  const [from, to, at] = [page.since, page.until, page.reached].map((moment) => Date.parse(moment));
  return {
    since: page.since, until: page.until, next: page.next,
    matched: before.matched + page.matched,
    states: sum(before.states, page.states),
    replays: sum(before.replays, page.replays),
    expired: before.expired + page.expired,
    unreadable: before.unreadable + page.unreadable,
    omitted: before.omitted + page.omitted + Math.max(0, differences.length - MOST_SHOWN),
    differences: differences.slice(0, MOST_SHOWN),
    part: page.next && to > from ? (at - from) / (to - from) : 1,
  };
}

/// Walks through the ledger from `query`, page after page, until its end or an abort.
async function walk(tenant, query, onPage, signal) {
  let found = nothing();
  let cursor = null;
  do {
    // Each page begins where the one before ended, and its parameters are the same.
    const page = await api('GET', inTenant(tenant, 'ledger'), { query: { ...query, cursor }, signal });
    if (signal.aborted) return;
    found = joined(found, page);
    cursor = page.next;
    onPage(found);
  } while (cursor);
}

/// `{found, error, isRunning, run, stop}`.
function useWalk(tenant) {
  const [state, setState] = useState({ found: null, error: null, isRunning: false });
  const running = useRef(null);
  const stop = () => {
    running.current?.abort();
    setState((before) => ({ ...before, isRunning: false }));
  };
  const run = async (query) => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState({ found: null, error: null, isRunning: true });
    try {
      await walk(tenant, query, (found) => setState({ found, error: null, isRunning: true }), controller.signal);
      if (running.current === controller && !controller.signal.aborted) setState((before) => ({ ...before, isRunning: false }));
    } catch (error) {
      if (!controller.signal.aborted) setState((before) => ({ ...before, error, isRunning: false }));
    }
  };
  useEffect(() => () => running.current?.abort(), []);
  return { ...state, run, stop };
}

/// The sum, as the ledger makes it.
function Sum({ found }) {
  return html`<div class="grid">
    <${Stat} label=${t('settings.ledger.matched')} value=${number(found.matched)} hint=${t('settings.ledger.matched_hint')} />
    ${STATES.map((state) => html`<${Stat} key=${state} label=${html`<${State} state=${state} />`} value=${number(found.states[state])} />`)}
  </div>
  <${KeyValue} items=${[
    [t('settings.ledger.time'), html`<${Time} at=${found.since} mode="exact" /> – <${Time} at=${found.until} mode="exact" />`],
    [t('settings.ledger.expired'), found.expired > 0 ? number(found.expired) : null],
    [t('settings.ledger.replays'), number(STATES.reduce((all, state) => all + found.replays[state], 0))],
    [t('settings.ledger.unreadable'), found.unreadable > 0 ? number(found.unreadable) : null],
  ]} />`;
}

/* messages: settings.kind.* */

/// One difference: its kind in the reader's language, and what the server saw of this one.
function DifferenceItem({ tenant, difference }) {
  const { kind, event, endpoint, delivery, replay, state } = difference;
  return html`<li class="difference">
    <h3>${t(`settings.kind.${kind}.name`)} ${state && html`<${State} state=${state} />`}</h3>
    <p>${t(`settings.kind.${kind}.text`)}</p>
    <p class="small muted"><${Told} text=${difference.explanation} /></p>
    <p><strong>${t('settings.ledger.repair')}</strong> <${Told} text=${difference.repair} /></p>
    <${KeyValue} items=${[
      [t('settings.ledger.event'), event && html`<${Id} value=${event} href=${eventPath(tenant, event)} />`],
      [t('settings.ledger.endpoint'), endpoint && html`<${Id} value=${endpoint} href=${endpointPath(tenant, endpoint)} />`],
      // Without a record there is no page of it.
      [t('settings.ledger.delivery'), delivery && html`<${Id} value=${delivery} href=${state ? deliveryPath(tenant, delivery) : undefined} copy />`],
      [t('settings.ledger.replay'), replay && html`<${Id} value=${replay} href=${replayPath(tenant, replay)} />`],
    ]} />
  </li>`;
}

function Found({ tenant, found, isRunning }) {
  const wrong = found.differences.length + found.omitted;
  const isWhole = !isRunning && found.part === 1;
  return html`
    ${isWhole && (wrong > 0
      ? html`<${Notice} kind="warn" title=${t('settings.ledger.wrong', { n: wrong })}>${t('settings.ledger.wrong_text')}<//>`
      : html`<${Notice} kind="good" title=${t('settings.ledger.right')}>${t('settings.ledger.right_text')}<//>`)}
    ${!isWhole && !isRunning && html`<${Notice} kind="info">${t('settings.ledger.stopped')}<//>`}
    ${found.unreadable > 0 && html`<${Notice} kind="warn">${t('settings.ledger.unreadable_text', { n: found.unreadable })}<//>`}
    <${Sum} found=${found} />
    ${found.differences.length > 0 && html`<h2>${t('settings.ledger.differences')}</h2>
      <ul class="differences">${found.differences.map((difference, n) => html`<${DifferenceItem} key=${n} tenant=${tenant} difference=${difference} />`)}</ul>
      ${found.omitted > 0 && html`<p>${t('settings.ledger.omitted', { n: found.omitted })}</p>`}`}`;
}

export function Ledger({ tenant, query, setQuery }) {
  const stretch = Object.hasOwn(STRETCHES_H, query.stretch ?? '') ? query.stretch : USUAL;
  const endpoint = query.endpoint ?? '';
  const { data: endpoints } = useEndpoints(tenant);
  const { found, error, isRunning, run, stop } = useWalk(tenant);
  const check = () => {
    // Both ends by the reader's clock: by the server's, a stretch of 31 days might be a second too long.
    const now = Date.now();
    const [since, until] = [now - STRETCHES_H[stretch] * HOUR_MS, now].map((ms) => new Date(ms).toISOString());
    setQuery({ check: 'true' });
    run(filled({ since, until, endpoint }));
  };
  useEffect(() => { if (query.check === 'true') check(); }, []);
  const set = (name) => (value) => { stop(); setQuery({ [name]: value || null, check: null }); };
  /* messages: settings.ledger.stretch.* */
  return html`<${Card} title=${t('settings.ledger.title')} text=${t('settings.ledger.text')}>
    <form class="stack" onSubmit=${(event) => { event.preventDefault(); check(); }}>
      <div class="form-grid">
        <${Field} label=${t('settings.ledger.of')}><${Select} value=${stretch} onChange=${set('stretch')}
          options=${Object.keys(STRETCHES_H).map((value) => ({ value, label: t(`settings.ledger.stretch.${value}`) }))} /><//>
        <${Field} label=${t('settings.ledger.endpoint')}><${Select} value=${endpoint} onChange=${set('endpoint')}
          options=${endpointOptions(endpoints, t('settings.ledger.every_endpoint'), endpoint)} /><//>
      </div>
      <div class="row"><${Button} kind="primary" type="submit" busy=${isRunning}>${t('settings.ledger.check')}<//>
        ${isRunning && html`<${Button} icon="stop" onClick=${stop}>${t('settings.ledger.stop')}<//>`}</div>
    </form>
    <div class="stack" aria-live="polite" aria-busy=${isRunning ? 'true' : undefined}>
      ${isRunning && html`<${Progress} done=${Math.round((found?.part ?? 0) * 100)} total=${100} label=${t('settings.ledger.title')} />`}
      ${error && html`<${ErrorBox} error=${error} onRetry=${check} />`}
      ${found && html`<${Found} tenant=${tenant} found=${found} isRunning=${isRunning} />`}
    </div>
  <//>`;
}
