// Deliveries that were given up: how many and why, what to do about each reason, and delivering them again or discarding them,
// counted first. The filters, and the job that is at work, live in the query string. Discards nothing without a typed word.
import { html, useEffect, useMemo, useState } from '../lib/preact.js';
import { api } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { canWrite } from '../lib/session.js';
import { Link, useQuery } from '../lib/router.js';
import { Time, number } from '../lib/format.js';
import { Button, Card, Checkbox, Empty, FilterBar, PageHead, Pager, Table, useAsync, usePages } from '../lib/ui.js';
import { rangeOf } from '../lib/ui/filters.js';
import { JobPanel } from './parts/replay-job.js';
import { LetterCounts } from './parts/letter-counts.js';
import { LetterWork } from './parts/letter-work.js';
import { REASONS, reasonName, reasonText } from './parts/reasons.js';
import { deliveryPath, endpointPath, replayPath } from './parts/place.js';
import { Id, Url, filled, inTenant } from './parts/texts.js';
import { endpointOptions, useEndpoints } from './parts/endpoints.js';

export const areas = ['dead-letters', 'replays'];

/// What letters are chosen by beside their time: the API's own names.
const FILTERS = ['endpoint', 'agent', 'event_type', 'reason'];
const PAGE_SIZE = 50;
/// Most letters that one request may name.
const MOST_SELECTED = 100;

function Filters({ endpoints, chosen }) {
  return html`<${FilterBar} fields=${[
    { key: 'endpoint', label: t('dead-letters.all_endpoints'), type: 'select', options: endpointOptions(endpoints, null, chosen) },
    { key: 'reason', label: t('dead-letters.all_reasons'), type: 'select', options: REASONS.map((value) => ({ value, label: reasonName(value) })) },
    { key: 'event_type', label: t('dead-letters.event_type'), placeholder: t('dead-letters.such_as', { what: t('dead-letters.event_type'), example: 'call.*' }) },
    { key: 'agent', label: t('dead-letters.agent'), placeholder: t('dead-letters.such_as', { what: t('dead-letters.agent'), example: 'agt_7' }) },
    { key: 'range', label: t('dead-letters.accepted'), type: 'range' },
    { key: 'redriven', label: t('dead-letters.waiting_only'), type: 'select', options: [{ value: 'true', label: t('dead-letters.redriven_only') }] },
  ]} />`;
}

/// The columns of the list; the first one selects, unless nothing can be done.
function columnsOf({ tenant, endpoints, selected, toggle, canSelect }) {
  const url = (id) => endpoints?.find((one) => one.id === id)?.url ?? id;
  const columns = [
    { key: 'event_type', label: t('dead-letters.event_type'), cell: (letter) => html`
      <${Link} class="nowrap" href=${deliveryPath(tenant, letter.id)}><${Id} text=${letter.event_type} /><//>
      ${letter.agent && html`<div class="muted small nowrap"><${Id} text=${letter.agent} /></div>`}` },
    { key: 'endpoint', label: t('dead-letters.endpoint'), cell: (letter) => html`
      <${Link} href=${endpointPath(tenant, letter.endpoint)}><${Url} url=${url(letter.endpoint)} /><//>` },
    { key: 'reason', label: t('dead-letters.why'), cell: (letter) => html`
      <strong>${reasonName(letter.reason)}</strong>
      ${!REASONS.includes(letter.reason) && html`<div class="muted small">${reasonText(letter.reason, letter.sentence)}</div>`}` },
    { key: 'last', label: t('dead-letters.last_attempt'), cell: (letter) => (letter.last_attempt
      ? html`<${Id} text=${letter.last_attempt.status ?? letter.last_attempt.code} />
        <div class="muted small"><${Time} at=${letter.last_attempt.at} mode="log" /> · <span class="nowrap">${t('dead-letters.attempts', { n: letter.attempts })}</span></div>`
      : html`<span class="muted">${t('dead-letters.no_attempt')}</span>`) },
    { key: 'accepted_at', label: t('dead-letters.accepted'), cell: (letter) => html`<${Time} at=${letter.accepted_at} mode="log" />
      <div class="muted small">${t('dead-letters.kept_until')} <${Time} at=${letter.expires_at} mode="exact" /></div>
      ${letter.redriven && html`<div class="small"><${Link} href=${replayPath(tenant, letter.redriven)}>
        ${t('dead-letters.redriven_by')}<//></div>`}` },
  ];
  const choose = { key: 'select', label: t('dead-letters.select'), hidden: true, cell: (letter) => html`<${Checkbox}
    checked=${selected.has(letter.id)} disabled=${!selected.has(letter.id) && selected.size >= MOST_SELECTED}
    label=${html`<span class="visually-hidden">${t('dead-letters.select_one', { id: letter.id })}</span>`} onChange=${() => toggle(letter.id)} />` };
  return canSelect ? [choose, ...columns] : columns;
}

/// Selected or all: what the two buttons are about.
function Actions({ items, selected, clear, selectAll, total, atLeast, isFiltered, onWork }) {
  const many = selected.size > 0;
  const count = atLeast ? t('dead-letters.at_least', { n: number(total) }) : number(total);
  return html`<div class="row" role="group" aria-label=${t('dead-letters.work')}>
    <${Button} kind="primary" onClick=${() => onWork('redrive')}>
      ${many ? t('dead-letters.redrive_selected', { n: selected.size })
        : t(isFiltered ? 'dead-letters.redrive_matching' : 'dead-letters.redrive_all', { count })}<//>
    <${Button} icon="trash" onClick=${() => onWork('discard')}>
      ${many ? t('dead-letters.discard_selected', { n: selected.size })
        : t(isFiltered ? 'dead-letters.discard_matching' : 'dead-letters.discard_all', { count })}<//>
    ${many
      ? html`<${Button} onClick=${clear}>${t('dead-letters.clear')}<//>`
      : html`<${Button} onClick=${selectAll}>${t('dead-letters.select_shown', { n: Math.min(items.length, MOST_SELECTED) })}<//>`}
  </div>`;
}

export function Page({ params }) {
  const { tenant } = params;
  const [query, setQuery] = useQuery();
  const [selected, setSelected] = useState(new Set());
  const [work, setWork] = useState(null);
  const isRedriven = query.redriven === 'true';
  // A stretch such as "the last day" begins when it was chosen: what is counted and what is done are the same letters.
  const filters = useMemo(() => filled({ ...Object.fromEntries(FILTERS.map((key) => [key, query[key]])), ...rangeOf(query) }),
    [...FILTERS, 'range', 'since', 'until'].map((key) => query[key]));
  const asked = useMemo(() => ({ ...filters, redriven: isRedriven ? 'true' : null, limit: PAGE_SIZE }), [filters, isRedriven]);
  const { data: endpoints } = useEndpoints(tenant);
  const counts = useAsync(({ signal }) => api('GET', inTenant(tenant, 'dead-letters', 'counts'), { query: filters, signal }), [tenant, filters]);
  const list = usePages(inTenant(tenant, 'dead-letters'), asked);
  useEffect(() => setSelected(new Set()), [tenant, asked]);

  // What is sent to these only waits there.
  const concerned = selected.size > 0 ? list.items.filter(({ id }) => selected.has(id)).map((letter) => letter.endpoint)
    : counts.data?.counts.find(({ by }) => by === 'endpoint')?.values.map(({ value }) => value) ?? [];
  const stalled = (endpoints ?? []).filter((one) => concerned.includes(one.id) && (one.hold || one.state !== 'active')).length;

  const canWork = canWrite() && !isRedriven;
  const toggle = (id) => setSelected((before) => {
    const after = new Set(before);
    if (!after.delete(id)) after.add(id);
    return after;
  });
  const refresh = () => { setSelected(new Set()); counts.reload(); list.reload(); };
  const isFiltered = Object.keys(filters).length > 0;
  const clear = () => setQuery(Object.fromEntries([...FILTERS, 'range', 'since', 'until'].map((key) => [key, null])));
  /* messages: dead-letters.none.* dead-letters.none_match.* dead-letters.none_redriven.* */
  const none = isRedriven ? 'none_redriven' : isFiltered ? 'none_match' : 'none';

  return html`<div class="page stack">
    <${PageHead} title=${t('dead-letters.title')} text=${t('dead-letters.lead')} />
    ${query.job && html`<${JobPanel} tenant=${tenant} id=${query.job} readOnly=${!canWrite()}
      onOver=${refresh} onClose=${() => setQuery({ job: null })} />`}
    <${Filters} endpoints=${endpoints} chosen=${query.endpoint} />
    ${!isRedriven && html`<${LetterCounts} counts=${counts} endpoints=${endpoints} query=${query} setQuery=${setQuery}
      actions=${canWork && list.items.length > 0 && html`<${Actions} items=${list.items} selected=${selected} clear=${() => setSelected(new Set())}
        selectAll=${() => setSelected(new Set(list.items.slice(0, MOST_SELECTED).map((letter) => letter.id)))}
        total=${counts.data?.count ?? list.items.length} atLeast=${counts.data?.at_least ?? list.next != null}
        isFiltered=${isFiltered} onWork=${setWork} />`} />`}
    <${Card} flush><${Table} label=${t('dead-letters.list')} rows=${list.items} loading=${list.loading} error=${list.error} onRetry=${list.reload}
      columns=${columnsOf({ tenant, endpoints, selected, toggle, canSelect: canWork })}
      empty=${html`<${Empty} icon="check" title=${t(`dead-letters.${none}.title`)} text=${t(`dead-letters.${none}.text`)}
        action=${isFiltered && html`<${Button} onClick=${clear}>${t('dead-letters.clear_filters')}<//>`} />`} />
    <${Pager} next=${list.next} onMore=${list.more} loading=${list.loadingMore} count=${list.items.length} /><//>
    ${work && html`<${LetterWork} stalled=${stalled} tenant=${tenant} action=${work} filters=${filters} deliveries=${[...selected]}
      onClose=${() => setWork(null)}
      onStarted=${(job) => { setWork(null); setSelected(new Set()); setQuery({ job: job.id }); }} />`}
  </div>`;
}
