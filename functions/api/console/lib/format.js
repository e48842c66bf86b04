// Times, numbers, durations and sizes as the reader's language writes them. It never asks what time it is but in `now`.
import { html, useEffect, useState } from './preact.js';
import { language, setNumberFormat, t, useLanguage } from './i18n.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TICK_MS = 15 * SECOND;

/** The clock of the console: tests set it. */
let now = () => Date.now();
export function setNow(clock) {
  now = clock;
}

// Ids, ports and codes stand beside the numbers: digits are Latin and dates Gregorian in Arabic too. A browser without Uzbek
// data, whatever it says of itself, gets numerals alone, which Uzbek and Russian write alike, and never a word in another language.
const hasUzbek = new Intl.NumberFormat('uz-Latn-UZ').format(1234.5) !== '1,234.5';
const UZBEK_THOUSANDS = [[1e9, 'mlrd'], [1e6, 'mln'], [1e3, 'ming']];
function localeOf(code) {
  if (code === 'en') return (globalThis.navigator?.languages ?? []).find((wish) => /^en\b/i.test(wish)) ?? 'en-GB';
  if (code === 'ar') return 'ar-u-ca-gregory-nu-latn';
  return hasUzbek ? 'uz-Latn-UZ' : 'ru';
}

const made = new Map();
function formatter(Kind, options) {
  const key = `${language()} ${Kind.name} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Kind(localeOf(language()), options));
  return made.get(key);
}

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
/** What stands where there is no value. */
export const NOTHING = '–';

/** 12345 -> 12,345 */
export function number(value, options = {}) {
  return isNumber(value) ? formatter(Intl.NumberFormat, options).format(value) : NOTHING;
}
setNumberFormat(number);

/** 1234567 -> 1.2M: for charts and tight places. */
export function compact(value) {
  if (language() !== 'uz' || hasUzbek || !isNumber(value)) return number(value, { notation: 'compact', maximumFractionDigits: 1 });
  const [of, word] = UZBEK_THOUSANDS.find(([least]) => Math.abs(value) >= least) ?? [1, ''];
  return `${number(value / of, { maximumFractionDigits: 1 })}${word && ` ${word}`}`;
}

/** A share (0..1) -> 99.95 %; never rounds a failure away: 0.99999 is 99.99 %, not 100 %. */
export function percent(share) {
  if (!isNumber(share)) return NOTHING;
  const floored = share < 1 ? Math.floor(share * 10000) / 10000 : share;
  return number(floored, { style: 'percent', maximumFractionDigits: share > 0.9 && share < 1 ? 2 : 1 });
}

/** Milliseconds -> 850 ms, 1.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function duration(ms) {
  if (!isNumber(ms)) return NOTHING;
  if (ms < SECOND - 0.5) return t('common.unit.ms', { v: Math.round(ms) });
  if (ms < 9950) return t('common.unit.s', { v: Math.round(ms / 100) / 10 });
  if (ms < MINUTE - SECOND / 2) return t('common.unit.s', { v: Math.round(ms / SECOND) });
  if (ms < HOUR - SECOND / 2) return two(ms, MINUTE, 'common.unit.min', SECOND, 'common.unit.s');
  if (ms < DAY - MINUTE / 2) return two(ms, HOUR, 'common.unit.h', MINUTE, 'common.unit.min');
  return two(ms, DAY, 'common.unit.d', HOUR, 'common.unit.h');
}
/* messages: common.unit.* common.time.* */

function two(ms, big, bigKey, small, smallKey) {
  const rounded = Math.round(ms / small) * small;
  const rest = Math.round((rounded % big) / small);
  const first = t(bigKey, { v: Math.floor(rounded / big) });
  return rest === 0 ? first : `${first} ${t(smallKey, { v: rest })}`;
}

/** Bytes -> 900 B, 12.3 KiB, 1.5 MiB. */
export function bytes(count) {
  if (!isNumber(count)) return NOTHING;
  if (count < 1024) return t('common.unit.b', { v: count });
  if (count < 1024 * 1024) return t('common.unit.kib', { v: Math.round(count / 102.4) / 10 });
  return t('common.unit.mib', { v: Math.round(count / 104857.6) / 10 });
}

const DATE = { year: 'numeric', month: 'short', day: 'numeric' };
const CLOCK = { hour: '2-digit', minute: '2-digit' };
const numeric = () => language() === 'uz';

function dated(options) {
  if (!numeric() || options.month === undefined) return formatter(Intl.DateTimeFormat, options);
  return formatter(Intl.DateTimeFormat, { ...options, month: '2-digit', day: '2-digit' });
}

/** An RFC 3339 text, a number of milliseconds or a Date -> milliseconds; NaN if it is none. */
export const millis = (at) => (at === null || at === undefined ? Number.NaN : new Date(at).getTime());

function inZone(at, options) {
  const ms = millis(at);
  return Number.isNaN(ms) ? NOTHING : dated(options).format(ms);
}

/** Day and time of day in the reader's zone. */
export const dateTime = (at) => inZone(at, { ...DATE, ...CLOCK });
/** The day alone. */
export const date = (at) => inZone(at, DATE);
/** The time of day with seconds, for logs. */
export const clock = (at) => inZone(at, { ...CLOCK, second: '2-digit' });
/** For lists of what happened: to the second, with the day unless that is today. */
export const logTime = (at) =>
  (date(at) === date(now()) ? clock(at) : inZone(at, { month: 'short', day: 'numeric', ...CLOCK, second: '2-digit' }));
/** To the millisecond, with the zone. */
export const exact = (at) =>
  inZone(at, { ...DATE, ...CLOCK, second: '2-digit', fractionalSecondDigits: 3, timeZoneName: 'short' });
/** As the API writes it. */
export const utc = (at) => (Number.isNaN(millis(at)) ? NOTHING : new Date(millis(at)).toISOString());
/** For the axis of a chart: the hour within two days, else the day. */
export function axisTime(at, spanMs) {
  if (spanMs <= 2 * DAY) return inZone(at, CLOCK);
  return inZone(at, { month: 'short', day: 'numeric' });
}

const STEPS = [
  [MINUTE, SECOND, 's'],
  [HOUR, MINUTE, 'min'],
  [DAY, HOUR, 'h'],
  [30 * DAY, DAY, 'd'],
];

/** 'just now', '5 min ago', 'in 2 h'; beyond 30 days the day itself. */
export function relative(at, from = now()) {
  const ms = millis(at);
  if (Number.isNaN(ms)) return NOTHING;
  const gap = Math.abs(from - ms);
  if (gap < 5 * SECOND) return t('common.time.now');
  const step = STEPS.find(([below]) => gap < below);
  if (step === undefined) return date(ms);
  return t(`common.time.${ms <= from ? 'ago' : 'in'}.${step[2]}`, { n: Math.floor(gap / step[1]) });
}

// One timer for all times on the page.
const ticking = new Set();
let timer = null;
function useTick(active) {
  const [, again] = useState({});
  useEffect(() => {
    if (!active) return undefined;
    const tick = () => again({});
    ticking.add(tick);
    timer ??= setInterval(() => document.hidden || ticking.forEach((listener) => listener()), TICK_MS);
    return () => {
      ticking.delete(tick);
      if (ticking.size > 0) return;
      clearInterval(timer);
      timer = null;
    };
  }, [active]);
}

/**
 * A moment. `mode`: 'auto' ("5 min ago", after a day the date and time), 'relative', 'exact' (date and time), 'clock' (13:05:02), 'minute' (13:05),
 * 'log' (13:05:02, of another day with its date).
 * The exact time in the reader's zone and in UTC is its title.
 */
export function Time({ at, mode = 'auto' }) {
  useLanguage();
  const ms = millis(at);
  const near = Math.abs(now() - ms) < DAY;
  const ticks = mode === 'relative' || (mode === 'auto' && near);
  useTick(ticks);
  if (Number.isNaN(ms)) return html`<span class="muted">${NOTHING}</span>`;
  const text = mode === 'clock' ? clock(ms) : mode === 'minute' ? inZone(ms, CLOCK) : mode === 'log' ? logTime(ms) : mode === 'exact' ? dateTime(ms) : ticks ? relative(ms) : dateTime(ms);
  return html`<time class="nowrap" datetime=${utc(ms)} title=${`${exact(ms)}\n${utc(ms)}`}>${text}</time>`;
}
