// The operators' home: a page of tenants, how those are that are on the screen, a call whose tenant nobody knows, and a new tenant.
// Shows no other tenant's things to a customer: the API refuses the list to everybody but operators. Asks one question about a tenant,
// and none about those that nobody looks at.
import { html, useEffect, useRef, useState } from '../lib/preact.js';
import { api, tenantApi } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { number, percent } from '../lib/format.js';
import { navigate, path, useQuery } from '../lib/router.js';
import { canWrite } from '../lib/session.js';
import { Button, Empty, FilterBar, Id, PageHead, Pager, Stat, State, Table, usePages } from '../lib/ui.js';
import { useOnDemand } from './parts/each.js';
import { FindCall } from './tenants/find-call.js';
import { glance, matterOf, troubleOf } from './tenants/glance.js';
import { MakeTenant } from './tenants/make.js';

export const areas = ['tenants'];

/** While somebody searches, so many tenants are looked through before they are asked to name the id. */
const MOST_SEARCHED = 1000;
const ID = /^[A-Za-z0-9_:-]{1,128}$/;

export function Page() {
  const [query, setQuery] = useQuery();
  const list = usePages('/v1/tenants');
  const named = useNamed(query.q, list);
  const found = searched(list.items, query.q, named);
  const [glances, want] = useOnDemand(glance);
  // Which are in trouble is not known before they are asked.
  useEffect(() => { if (query.only === 'trouble') found.forEach((tenant) => want(tenant.id)); }, [query.only, found.length]);
  const shown = query.only === 'trouble' ? found.filter((tenant) => troubleOf(glances[tenant.id]?.data)) : found;
  const isLooking = query.only === 'trouble' && found.some((tenant) => !(tenant.id in glances));
  useReadOn(list, query.q);

  return html`
    <${PageHead} title=${t('tenants.title')} text=${t('tenants.about')} actions=${makeButton(setQuery)} />
    <${Sums} tenants=${found} glances=${glances} more=${list.next} />
    <${FindCall} />
    <${FilterBar} fields=${filterFields()} />
    <${Table} label=${t('tenants.title')} columns=${columns(glances, want)} rows=${shown} rowHref=${(tenant) => path('t', tenant.id)}
      loading=${(list.loading && list.items.length === 0) || isLooking} error=${list.error} onRetry=${list.reload}
      empty=${html`<${Nothing} query=${query} setQuery=${setQuery} />`} />
    ${list.items.length > 0 && html`<${Pager} next=${list.next} onMore=${list.more} loading=${list.loadingMore} count=${shown.length} />`}
    ${query.make === '1' && canWrite() && html`<${MakeTenant} onClose=${() => setQuery({ make: null })}
      onMade=${(tenant) => navigate(path('t', tenant.id))} />`}`;
}

const makeButton = (setQuery) => canWrite()
  && html`<${Button} kind="primary" icon="plus" onClick=${() => setQuery({ make: '1' })}>${t('tenants.make')}<//>`;

const filterFields = () => [
  { key: 'q', label: t('tenants.search'), placeholder: t('tenants.search'), mono: false },
  { key: 'only', label: t('tenants.only'), placeholder: t('tenants.only_all'), type: 'select', options: [{ value: 'trouble', label: t('tenants.only_trouble') }] },
];

/** A tenant whose id was typed in full is found without reading the whole list. */
function useNamed(text, list) {
  const [named, setNamed] = useState(null);
  const isListed = list.items.some((tenant) => tenant.id === text);
  useEffect(() => {
    setNamed(null);
    if (!text || !ID.test(text) || isListed || !list.next) return undefined;
    const stop = new AbortController();
    const ask = async () => {
      try {
        setNamed(await api('GET', tenantApi(text), { signal: stop.signal }));
      } catch {
        // There is no such tenant, or the list itself says what is wrong.
      }
    };
    const timer = setTimeout(ask, 300);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [text, isListed, list.next === null]);
  return named;
}

function searched(items, text, named) {
  if (!text) return items;
  const wanted = text.toLowerCase();
  const found = items.filter((tenant) => tenant.id.toLowerCase().includes(wanted) || tenant.name.toLowerCase().includes(wanted));
  return named && !found.some((tenant) => tenant.id === named.id) ? [named, ...found] : found;
}

/** A search looks through more than the first page. */
function useReadOn(list, text) {
  useEffect(() => {
    if (text && list.next && !list.loading && !list.loadingMore && !list.error && list.items.length < MOST_SEARCHED) list.more();
  }, [text, list.next, list.loading, list.loadingMore]);
}

/** A line that is there before it says something, and after. */
const SPACE = '\u00a0';

function Sums({ tenants, glances, more }) {
  const known = tenants.map((tenant) => glances[tenant.id]?.data).filter(Boolean);
  const sum = (of) => known.reduce((total, one) => total + of(one), 0);
  const [inTrouble, held, dead] = [known.filter(troubleOf).length, sum((one) => one.held), sum((one) => one.dead)];
  const alarming = (count) => (count > 0 ? 'bad' : undefined);
  const hint = known.length < tenants.length ? t('tenants.looked', { n: known.length }) : SPACE;
  return html`<div class="stats" aria-live="polite">
    <${Stat} label=${t('tenants.count')} value=${more ? t('tenants.at_least', { count: tenants.length }) : number(tenants.length)} hint=${SPACE} />
    <${Stat} label=${t('tenants.in_trouble')} value=${number(inTrouble)} tone=${alarming(inTrouble)} href=${inTrouble > 0 ? '/?only=trouble' : undefined} hint=${hint} />
    <${Stat} label=${t('tenants.held')} value=${number(held)} tone=${alarming(held)} hint=${hint} />
    <${Stat} label=${t('tenants.dead_day')} value=${number(dead)} tone=${alarming(dead)} hint=${hint} />
  </div>`;
}

const columns = (glances, want) => [
  { key: 'tenant', label: t('tenants.tenant'), cell: (tenant) => html`<${Named} tenant=${tenant} />` },
  { key: 'health', label: t('tenants.health'), cell: (tenant) => html`<${Health} glance=${glances[tenant.id]} onSeen=${() => want(tenant.id)} />` },
  { key: 'deliveries', label: t('tenants.deliveries'), align: 'end', cell: of(glances, (one) => number(one.matched)) },
  { key: 'success', label: t('tenants.success'), align: 'end', cell: of(glances, (one) => percent(one.success_rate)) },
  { key: 'held', label: t('tenants.held'), align: 'end', cell: of(glances, (one) => counted(one.held)) },
  { key: 'dead', label: t('tenants.dead_day'), align: 'end', cell: of(glances, (one) => counted(one.dead)) },
];

/** What should be none stands out where it is not. */
const counted = (count) => (count > 0 ? html`<strong class="tone-bad">${number(count)}</strong>` : number(count));

const of = (glances, value) => (tenant) => {
  const known = glances[tenant.id]?.data;
  return known ? value(known) : html`<span class="muted">–</span>`;
};

function Named({ tenant }) {
  if (!tenant.name || tenant.name === tenant.id) return html`<${Id} value=${tenant.id} />`;
  return html`<span class="named"><bdi>${tenant.name}</bdi><span class="small muted"><${Id} value=${tenant.id} /></span></span>`;
}

/** Calls `onSeen` once, when what `ref` names is on the screen or nearly so. */
function useSeen(ref, onSeen) {
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      onSeen();
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
}

/* messages: tenants.n_* */

function Health({ glance: answer, onSeen }) {
  const place = useRef(null);
  useSeen(place, onSeen);
  return html`<span ref=${place}>${healthOf(answer)}</span>`;
}

function healthOf(answer) {
  if (!answer) return html`<span class="muted">${t('tenants.looking_one')}</span>`;
  if (answer.error) return html`<span class="muted">${t('tenants.unknown')}</span>`;
  const total = answer.data;
  const matter = matterOf(total);
  if (matter) return html`<${State} state=${matter} label=${t(`tenants.n_${matter}`, { n: total[matter] })} />`;
  if (total.matched === 0) return html`<${State} state="quiet" label=${t('tenants.quiet')} />`;
  return html`<${State} state="healthy" label=${t('tenants.all_well')} />`;
}

function Nothing({ query, setQuery }) {
  if (query.q || query.only) {
    const action = html`<${Button} onClick=${() => setQuery({ q: null, only: null })}>${t('tenants.show_all')}<//>`;
    return html`<${Empty} title=${t('tenants.none_found')} text=${t('tenants.none_found_text')} action=${action} />`;
  }
  return html`<${Empty} icon="tenant" title=${t('tenants.none')} text=${t('tenants.none_text')} action=${makeButton(setQuery)} />`;
}
