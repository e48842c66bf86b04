// Charts in SVG, with a table that says the same. Sizes are attributes; colours are classes of the stylesheet.
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from './preact.js';
import { axisTime, compact, dateTime, millis, number, utc } from './format.js';
import { dir, t, useLanguage } from './i18n.js';

const PAD = { top: 10, right: 8, bottom: 24 };
const LABEL_PX = 88;
// How wide a letter of the scale is, about, and what stands beside it.
const LETTER_PX = 6.4;
const SCALE_PX = { least: 34, beside: 14 };
const TIP = { width: 208, gap: 12 };
// Steps of a scale of time: nobody counts minutes in fifties.
const TIME_STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400].map((seconds) => seconds * 1000);

/** Round steps up to a value: at most `count` of them, from 0. All zeros: 0 and 1. */
export function ticks(most, count = 4, whole = true) {
  if (!(most > 0)) return [0, 1];
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999999);
  if (whole) step = Math.max(1, Math.round(step));
  const steps = Math.ceil((most / step) * 0.999999);
  return Array.from({ length: steps + 1 }, (_, at) => at * step);
}

/** Steps of a scale of milliseconds: as a clock has them, from a second on. */
export function timeTicks(most, count = 4) {
  const step = TIME_STEPS_MS.find((candidate) => candidate >= (most / count) * 0.999999);
  if (!(most > 0) || most / count <= TIME_STEPS_MS[0] / 2 || step === undefined) return ticks(most, count, false);
  return Array.from({ length: Math.ceil((most / step) * 0.999999) + 1 }, (_, at) => at * step);
}

/** Room for the widest label of a scale. */
const roomFor = (labels) => Math.max(SCALE_PX.least, Math.ceil(Math.max(...labels.map((label) => label.length)) * LETTER_PX) + SCALE_PX.beside);

function useWidth(fallback = 600) {
  const ref = useRef(null);
  const [width, setWidth] = useState(fallback);
  useLayoutEffect(() => {
    const node = ref.current;
    if (!node) return undefined;
    const measure = () => setWidth(Math.max(160, Math.round(node.clientWidth)));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

const spanOf = (points) => (points.length < 2 ? 0 : millis(points.at(-1).at) - millis(points[0].at));
const nameOf = (point) => point.label ?? dateTime(point.at);

function Grid({ marks, y, width, left, format }) {
  return html`<g aria-hidden="true">${marks.map((mark) => html`<g key=${mark}><line class="chart-grid" x1=${left} x2=${width - PAD.right} y1=${y(mark)} y2=${y(mark)} />
    <text class="chart-text" x=${left - 8} y=${y(mark) + 4} text-anchor="end">${format(mark)}</text></g>`)}</g>`;
}

function Axis({ points, x, height, width, left }) {
  const each = Math.max(1, Math.ceil(points.length / Math.max(1, Math.floor((width - left) / LABEL_PX))));
  const span = spanOf(points);
  const anchor = (at) => (at === 0 && x(at) < left + 30 ? 'start' : x(at) > width - 30 ? 'end' : 'middle');
  return html`<g aria-hidden="true">${points.map((point, at) => at % each === 0 && html`<text key=${at} class="chart-text" x=${x(at)} y=${height - 6}
    text-anchor=${anchor(at)}>${point.label ?? axisTime(point.at, span)}</text>`)}</g>`;
}

function Legend({ series }) {
  return html`<ul class="chart-legend" aria-hidden="true">${series.map((one) => html`<li key=${one.key}><svg width="10" height="10" class=${`chart-key fill-${one.tone ?? 'info'}`}>
    <rect width="10" height="10" rx="2" /></svg>${one.label}</li>`)}</ul>`;
}

function AsTable({ label, points, series, format }) {
  return html`<table class="chart-table"><caption class="visually-hidden">${label}</caption>
    <thead><tr><th scope="col">${t('common.chart.time')}</th>${series.map((one) => html`<th key=${one.key} scope="col" class="align-end">${one.label}</th>`)}</tr></thead>
    <tbody>${points.map((point, at) => html`<tr key=${at}><th scope="row">${point.at ? html`<time datetime=${utc(point.at)}>${nameOf(point)}</time>` : nameOf(point)}</th>
      ${series.map((one) => html`<td key=${one.key} class="align-end num">${format(point[one.key])}</td>`)}</tr>`)}</tbody></table>`;
}

// What the pointer, or the arrow keys, are at.
function useCursor(points, x, rtl = false) {
  const [at, setAt] = useState(null);
  useEffect(() => setAt(null), [points.length]);
  const nearest = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const px = event.clientX - box.left;
    let best = 0;
    for (let one = 1; one < points.length; one += 1) if (Math.abs(x(one) - px) < Math.abs(x(best) - px)) best = one;
    setAt(points.length === 0 ? null : best);
  };
  const keys = (event) => {
    const step = { ArrowRight: rtl ? -1 : 1, ArrowLeft: rtl ? 1 : -1 }[event.key];
    if (event.key === 'Escape') setAt(null);
    if (!step || points.length === 0) return;
    event.preventDefault();
    setAt((now) => (now === null ? (step > 0 ? 0 : points.length - 1) : Math.min(points.length - 1, Math.max(0, now + step))));
  };
  return { at: at !== null && at < points.length ? at : null, nearest, keys, leave: () => setAt(null) };
}

// What the pointer is at, beside it and over the drawing: nothing moves when it comes.
function Tip({ cursor, points, series, format, x, width, height }) {
  const point = cursor.at === null ? null : points[cursor.at];
  if (point === null) return null;
  const at = x(cursor.at);
  const before = at > width / 2;
  const left = before ? Math.max(0, at - TIP.width - TIP.gap) : Math.max(0, Math.min(width - TIP.width, at + TIP.gap));
  return html`<foreignObject class="chart-tip-place" x=${left} y="0" width=${TIP.width} height=${height} aria-hidden="true">
    <div class=${`chart-tip${before ? ' chart-tip-before' : ''}`}><div class="chart-tip-card num" dir=${dir()}><p class="muted">${nameOf(point)}</p>
      ${series.map((one) => html`<p key=${one.key} class="chart-tip-row"><svg width="9" height="9" class=${`fill-${one.tone ?? 'info'}`}><rect width="9" height="9" rx="2" /></svg>
        <span>${one.label}</span><strong>${format(point[one.key])}</strong></p>`)}</div></div></foreignObject>`;
}

// The same in words, for who does not see it.
function Reading({ cursor, points, series, format }) {
  const point = cursor.at === null ? null : points[cursor.at];
  return html`<p class="visually-hidden" role="status">${point && `${nameOf(point)}: ${series.map((one) => `${one.label} ${format(point[one.key])}`).join(', ')}`}</p>`;
}

function Frame({ label, points, series, height, width, x, cursor, format, children, host }) {
  const [table, setTable] = useState(false);
  const id = useId();
  return html`<figure class="chart" aria-labelledby=${id}>
    <figcaption class="visually-hidden" id=${id}>${label}</figcaption>
    <div class="chart-top"><${Legend} series=${series} /><button type="button" class="chart-toggle small" aria-expanded=${table ? 'true' : 'false'}
      onClick=${() => setTable(!table)}>${t(table ? 'common.chart.hide_table' : 'common.chart.show_table')}</button></div>
    <div class="chart-host" ref=${host} dir="ltr">
      <svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} tabindex="0" role="img" aria-label=${`${label}. ${t('common.chart.keys')}`}
        onPointerMove=${cursor.nearest} onPointerLeave=${cursor.leave} onBlur=${cursor.leave} onKeyDown=${cursor.keys}>${children}
        <${Tip} ...${{ cursor, points, series, format, x, width, height }} /></svg></div>
    <${Reading} cursor=${cursor} points=${points} series=${series} format=${format} />
    <div class=${table ? 'chart-shown' : 'visually-hidden'} tabindex=${table ? 0 : undefined} role="group" aria-label=${label}><${AsTable} label=${label} points=${points} series=${series} format=${format} /></div>
  </figure>`;
}

/**
 * Stacked bars.
 * @param {{label: string, points: ({at?: string, label?: string} & Record<string, number>)[], series: {key: string, label: string,
 *   tone?: 'good'|'bad'|'warn'|'info'|'mute'}[], height?: number, format?: (value: number) => string}} props `label` says what it shows
 */
export function Bars({ label, points = [], series, height = 200, format = number }) {
  useLanguage();
  const [host, width] = useWidth();
  const marks = ticks(Math.max(0, ...points.map((point) => series.reduce((sum, one) => sum + (point[one.key] ?? 0), 0))));
  const scale = format === number ? compact : format;
  const left = roomFor(marks.map(scale));
  const inner = { width: width - left - PAD.right, height: height - PAD.top - PAD.bottom };
  const slot = inner.width / Math.max(1, points.length);
  const bar = Math.max(1, Math.min(48, slot * 0.72));
  const x = (at) => left + slot * (at + 0.5);
  const y = (value) => PAD.top + inner.height * (1 - value / marks.at(-1));
  const cursor = useCursor(points, x);
  return html`<${Frame} ...${{ label, points, series, height, width, x, cursor, format, host }}>
    <${Grid} marks=${marks} y=${y} width=${width} left=${left} format=${scale} />
    ${cursor.at !== null && html`<rect class="chart-cursor" x=${x(cursor.at) - slot / 2} y=${PAD.top} width=${slot} height=${inner.height} />`}
    ${points.map((point, at) => {
      let sum = 0;
      return html`<g key=${at}>${series.map((one) => {
        const value = point[one.key] ?? 0;
        if (!(value > 0)) return null;
        const top = y(sum + value);
        // What happened once is seen beside what happened a million times.
        const tall = Math.max(1, y(sum) - top);
        sum += value;
        return html`<rect key=${one.key} class=${`fill-${one.tone ?? 'info'}`} x=${x(at) - bar / 2} y=${top} width=${bar} height=${tall} rx=${Math.min(2, bar / 4)} />`;
      })}</g>`;
    })}
    <${Axis} points=${points} x=${x} height=${height} width=${width} left=${left} /><//>`;
}

// A gap in the values is a gap in the line.
function lines(points, key, x, y) {
  const parts = [];
  let open = false;
  points.forEach((point, at) => {
    const value = point[key];
    if (typeof value !== 'number') {
      open = false;
      return;
    }
    parts.push(`${open ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
    open = true;
  });
  return parts.join('');
}

/**
 * Lines; takes what `Bars` takes, and `most`: the top of the scale (1 for shares), `least`: its foot, `isTime`: values are
 * milliseconds. Values may be null.
 */
export function Line({ label, points = [], series, height = 200, format = number, most = null, least = 0, isTime = false }) {
  useLanguage();
  const [host, width] = useWidth();
  const top = most ?? Math.max(0, ...points.flatMap((point) => series.map((one) => point[one.key] ?? 0)));
  const marks = most !== null ? [least, (least + most) / 2, most] : isTime ? timeTicks(top) : ticks(top, 4, false);
  const left = roomFor(marks.map(format));
  const inner = { width: width - left - PAD.right, height: height - PAD.top - PAD.bottom };
  const x = (at) => left + (points.length < 2 ? inner.width / 2 : (inner.width * at) / (points.length - 1));
  const y = (value) => PAD.top + inner.height * (1 - Math.max(0, Math.min(1, (value - marks[0]) / (marks.at(-1) - marks[0]))));
  const cursor = useCursor(points, x);
  return html`<${Frame} ...${{ label, points, series, height, width, x, cursor, format, host }}>
    <${Grid} marks=${marks} y=${y} width=${width} left=${left} format=${format} />
    ${cursor.at !== null && html`<line class="chart-cursor-line" x1=${x(cursor.at)} x2=${x(cursor.at)} y1=${PAD.top} y2=${PAD.top + inner.height} />`}
    ${series.map((one) => html`<g key=${one.key}><path class=${`chart-line stroke-${one.tone ?? 'info'}`} d=${lines(points, one.key, x, y)} fill="none" />
      ${points.map((point, at) => typeof point[one.key] === 'number' && (cursor.at === at || points.length === 1 || lonely(points, at, one.key))
        && html`<circle key=${at} class=${`fill-${one.tone ?? 'info'}`} cx=${x(at)} cy=${y(point[one.key])} r="3" />`)}</g>`)}
    <${Axis} points=${points} x=${x} height=${height} width=${width} left=${left} /><//>`;
}

// A value between two gaps has no line: it is a dot.
const lonely = (points, at, key) =>
  typeof points[at - 1]?.[key] !== 'number' && typeof points[at + 1]?.[key] !== 'number';

/** A small line without axes, within a row: `{values, label, tone}`. */
export function Spark({ values = [], label, tone = 'info' }) {
  const most = Math.max(1, ...values);
  const step = 96 / Math.max(1, values.length - 1);
  const d = values.map((value, at) => `${at === 0 ? 'M' : 'L'}${(2 + at * step).toFixed(1)} ${(22 - (20 * value) / most).toFixed(1)}`).join('');
  return html`<svg class="spark" width="100" height="24" viewBox="0 0 100 24" role="img" aria-label=${label ?? values.map((value) => number(value)).join(', ')}>
    <path class=${`chart-line stroke-${tone}`} d=${d} fill="none" /></svg>`;
}
