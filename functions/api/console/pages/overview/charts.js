// Deliveries over time as charts: how many and what became of them, the share that succeeded, how long they took. Of a tenant or of
// one endpoint; says what its numbers leave out.
import { html, useMemo } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { Bars, Line } from '../../lib/chart.js';
import { duration, number, percent } from '../../lib/format.js';
import { t } from '../../lib/i18n.js';
import { usePoll } from '../../lib/live.js';
import { useQuery } from '../../lib/router.js';
import { Card, ErrorBox, Loading, Stat } from '../../lib/ui.js';
import { RANGES, isCut, latencyOf, rangeOf, slotsOf, stretch } from './figures.js';

/** How often the numbers are read again, in milliseconds: the latest hours are counted from the records each time. */
const AGAIN_MS = 60_000;
/** A lower share of successes is marked. */
const GOOD_SUCCESS = 0.99;
const BAD_SUCCESS = 0.9;

/** The statistics of a tenant, or of one endpoint, over the range in the page's address: `{data, error, loading, slots, range}`. */
export function useStatistics(tenant, endpoint = null) {
  const [query] = useQuery();
  const range = rangeOf(query.range);
  const read = async ({ signal }) => {
    const now = Date.now();
    const asked = { ...stretch(range, now), endpoint };
    const statistics = await api('GET', tenantApi(tenant, 'statistics'), { query: asked, signal });
    return { range, now, statistics };
  };
  const answer = usePoll(read, AGAIN_MS, [tenant, endpoint, range]);
  // What was read for another range must not be drawn on this one's axis.
  const known = answer.data?.range === range ? answer.data : null;
  const slots = useMemo(() => (known ? slotsOf(known.statistics, range, known.now) : []), [known]);
  return { ...answer, data: known?.statistics ?? null, slots, range };
}

/* messages: overview.range.* overview.range_long.* */

/** 1 h, 24 h, 7 d, 30 d: in the page's address. */
export function RangeSwitch({ range }) {
  const [, setQuery] = useQuery();
  return html`<div class="segments" role="group" aria-label=${t('overview.range')}>
    ${Object.keys(RANGES).map((one) => html`<button key=${one} type="button" class="segment" aria-pressed=${one === range ? 'true' : 'false'}
      title=${t(`overview.range_long.${one}`)} onClick=${() => setQuery({ range: one })}>${t(`overview.range.${one}`)}</button>`)}
  </div>`;
}

/** Feet of the scale of shares: that of what mostly succeeds begins higher, or nothing could be told from its line. */
const FEET = [0.9, 0.5, 0];

const footOf = (slots) => {
  const lowest = Math.min(1, ...slots.map((slot) => slot.successRate ?? 1));
  return FEET.find((foot) => lowest >= foot);
};

const toneOfRate = (rate) => {
  if (rate === null || rate >= GOOD_SUCCESS) return undefined;
  return rate >= BAD_SUCCESS ? 'warn' : 'bad';
};

/** The key figures: success, volume, latency. */
export function Figures({ data, children }) {
  const total = data?.total;
  const latency = total ? latencyOf(total) : { p50Ms: null, p99Ms: null };
  return html`<div class=${children ? 'stats stats-eight' : 'stats'}>
    <${Stat} label=${t('overview.success')} value=${percent(total?.success_rate)} tone=${toneOfRate(total?.success_rate ?? null)}
      hint=${total && t('overview.concluded', { n: total.succeeded + total.dead })} />
    <${Stat} label=${t('overview.volume')} value=${number(total?.matched)} hint=${total && t('overview.attempts', { n: total.attempts })} />
    <${Stat} label=${t('overview.p50')} value=${duration(latency.p50Ms)} hint=${t('overview.latency_hint')} />
    <${Stat} label=${t('overview.p99')} value=${duration(latency.p99Ms)} hint=${t('overview.p99_hint')} />
    ${children}
  </div>`;
}

export function Charts({ statistics, level = 2 }) {
  const { data, slots, error, reload } = statistics;
  if (error && !data) return html`<${ErrorBox} error=${error} onRetry=${reload} />`;
  if (!data) return html`<${Loading} kind="chart" />`;
  if (slots.every((slot) => slot.matched === 0)) {
    return html`<${Card} level=${level} title=${t('overview.volume_chart')}><p class="chart-none muted">${t('overview.no_deliveries')}</p><//>`;
  }
  const points = slots.map((slot) => ({ ...slot, at: new Date(slot.at).toISOString() }));
  const volume = [
    { key: 'succeeded', label: t('overview.succeeded'), tone: 'good' },
    { key: 'dead', label: t('overview.dead'), tone: 'bad' },
    { key: 'waiting', label: t('overview.waiting'), tone: 'warn' },
    { key: 'canceled', label: t('overview.canceled'), tone: 'mute' },
  ];
  const hasLatency = slots.some((slot) => slot.p50Ms !== null);
  return html`<div class="charts">
    <${Card} level=${level} title=${t('overview.volume_chart')} class="chart-wide"><${Bars} label=${t('overview.volume_chart')} points=${points} series=${volume} />
      ${isCut(slots) && html`<p class="small muted">${t('overview.cut')}</p>`}<//>
    <${Card} level=${level} title=${t('overview.success_chart')}><${Line} label=${t('overview.success_chart')} points=${points} least=${footOf(slots)} most=${1} format=${percent}
      series=${[{ key: 'successRate', label: t('overview.success'), tone: 'good' }]} /><//>
    <${Card} level=${level} title=${t('overview.latency_chart')}>${hasLatency
      ? html`<${Line} label=${t('overview.latency_chart')} points=${points} isTime format=${duration}
        series=${[{ key: 'p50Ms', label: t('overview.p50'), tone: 'info' }, { key: 'p99Ms', label: t('overview.p99'), tone: 'warn' }]} />`
      : html`<p class="chart-none muted">${t('overview.no_latency')}</p>`}<//>
  </div>`;
}
