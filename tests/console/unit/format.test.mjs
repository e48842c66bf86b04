// Times, durations, shares and sizes, in the zone of the test.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { loadAreas, setLanguage, setReader } from '../../../functions/api/console/lib/i18n.js';
import {
  axisTime, bytes, compact, dateTime, duration, exact, NOTHING, number, percent, relative, utc,
} from '../../../functions/api/console/lib/format.js';
import { fromLocalInput, rangeOf, toLocalInput } from '../../../functions/api/console/lib/ui/filters.js';
import { ticks, timeTicks } from '../../../functions/api/console/lib/chart.js';
import { waitAfter } from '../../../functions/api/console/lib/live.js';
import { read } from '../sources.mjs';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const ago = (ms) => relative(NOON - ms, NOON);

before(async () => {
  setReader(async (language, area) => JSON.parse(read(`messages/${language}/${area}.json`)));
  await loadAreas(['common']);
});

test('a moment near by is told by its distance, in both directions', () => {
  assert.equal(ago(0), 'just now');
  assert.equal(ago(59_000), '59 s ago');
  assert.equal(ago(60_000), '1 min ago');
  assert.equal(ago(3_599_999), '59 min ago');
  assert.equal(ago(25 * 3_600_000), '1 day ago');
  assert.equal(ago(-2 * 3_600_000), 'in 2 h');
  assert.match(ago(40 * 86_400_000), /2026/);
});

test('what is no time is a dash, never an error', () => {
  for (const none of [null, undefined, '', 'yesterday', Number.NaN]) {
    assert.deepEqual([relative(none), dateTime(none), exact(none), utc(none)], [NOTHING, NOTHING, NOTHING, NOTHING]);
  }
});

test('durations never show sixty of anything', () => {
  assert.deepEqual([0, 850, 999.7, 1234, 9960, 59_600, 60_000, 80_000, 3_599_600, 7_500_000, 86_399_000, 86_400_000 + 14_400_000].map(duration), [
    '0 ms', '850 ms', '1 s', '1.2 s', '10 s', '1 min', '1 min', '1 min 20 s', '1 h', '2 h 5 min', '1 d', '1 d 4 h']);
  assert.equal(duration(null), NOTHING);
});

test('a share below the whole is never shown as the whole', () => {
  assert.deepEqual([1, 0.99999, 0.9995, 0.5, 0].map(percent), ['100%', '99.99%', '99.95%', '50%', '0%']);
  assert.equal(percent(undefined), NOTHING);
});

test('numbers and sizes', () => {
  assert.match(number(1234567), /^1[,.]234[,.]567$/);
  assert.equal(number('7'), NOTHING);
  assert.match(compact(1_200_000), /^1\.2\s?[Mm]/);
  assert.deepEqual([0, 1023, 1024, 262_144, 1_572_864].map(bytes), ['0 B', '1,023 B', '1 KiB', '256 KiB', '1.5 MiB']);
});

test('Arabic keeps Latin digits and the Gregorian calendar; Uzbek has no English month', async () => {
  await setLanguage('ar', { remember: false });
  assert.match(dateTime(NOON), /2026/);
  assert.doesNotMatch(dateTime(NOON), /[٠-٩]/);
  await setLanguage('uz', { remember: false });
  assert.doesNotMatch(dateTime(NOON), /Nov/);
  assert.match(ago(120_000), /^2 daq\S* oldin$/);
  await setLanguage('en', { remember: false });
});

test('the axis of a chart shows hours, then days', () => {
  assert.match(axisTime(NOON, 3_600_000), /\d\d:\d\d/);
  assert.match(axisTime(NOON, 30 * 86_400_000), /22/);
});

test('a time of an input goes to the API and back', () => {
  const local = toLocalInput('2026-11-22T12:00:00Z');
  assert.match(local, /^2026-11-2\dT\d\d:00$/);
  assert.equal(fromLocalInput(local), '2026-11-22T12:00:00.000Z');
  assert.equal(fromLocalInput(''), null);
  assert.equal(toLocalInput('nonsense'), '');
});

test('a range of the query is a time for the API, and stays the same for a minute', () => {
  assert.deepEqual(rangeOf({ range: '1h' }, NOON + 59_000), { since: '2026-11-22T11:00:00.000Z', until: null });
  assert.deepEqual(rangeOf({ range: '1h', since: 'x' }, NOON), { since: 'x', until: null });
  assert.deepEqual(rangeOf({ range: 'ever' }, NOON), { since: null, until: null });
});

test('the scale of a chart of times has the steps of a clock', () => {
  const s = 1000;
  assert.deepEqual(timeTicks(0), [0, 1]);
  assert.deepEqual(timeTicks(90), [0, 50, 100]);
  assert.deepEqual(timeTicks(7 * s), [0, 2 * s, 4 * s, 6 * s, 8 * s]);
  assert.deepEqual(timeTicks(185 * s), [0, 60 * s, 120 * s, 180 * s, 240 * s]);
  for (const most of [3, 999, 61 * s, 3599 * s, 90_000 * s, 40 * 86_400 * s]) {
    const marks = timeTicks(most);
    assert.ok(marks.at(-1) >= most && marks.length <= 6, `${most}: ${marks}`);
  }
});

test('the scale of a chart is round and reaches the highest value', () => {
  assert.deepEqual(ticks(0), [0, 1]);
  assert.deepEqual(ticks(1), [0, 1]);
  assert.deepEqual(ticks(3), [0, 1, 2, 3]);
  assert.deepEqual(ticks(97), [0, 50, 100]);
  for (const most of [1, 2, 7, 10, 11, 99, 100, 101, 12_345, 1e9]) {
    const marks = ticks(most);
    assert.ok(marks.at(-1) >= most && marks.length <= 6, `${most}: ${marks}`);
  }
});

test('asking again waits longer after failures, as long as the server wants, and a minute at most', () => {
  assert.equal(waitAfter(2000, 0, null), 2000);
  assert.equal(waitAfter(2000, 2, null), 8000);
  assert.equal(waitAfter(2000, 1, { retryAfter: 20 }), 20_000);
  assert.equal(waitAfter(2000, 50, { retryAfter: 9999 }), 60_000);
});
