// What pages conclude from what the API says: what did not arrive and why, what needs somebody first, what a form asks for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidates } from '../../../functions/api/console/lib/layout/finder.js';
import { waitAfter } from '../../../functions/api/console/lib/live.js';
import { rangeOf } from '../../../functions/api/console/lib/ui/filters.js';
import { attention, waitingOf, worthAsking } from '../../../functions/api/console/pages/overview/attention.js';
import { unarrived, standing, scaleOf, chartOf, unwanted } from '../../../functions/api/console/pages/parts/call-story.js';
import { fragment } from '../../../functions/api/console/pages/parts/fragment.js';
import { SOURCES, bodyOf, faults, fromQuery, toQuery } from '../../../functions/api/console/pages/parts/replay-wish.js';
import { rowsOf, schemaOf } from '../../../functions/api/console/pages/parts/schema.js';
import { isRecovering } from '../../../functions/api/console/pages/endpoint/look.js';
import { arrivals, goesAt, holdOf } from '../../../functions/api/console/pages/parts/states.js';
import { momentsIn } from '../../../functions/api/console/pages/parts/texts.js';
import { AT_ONCE, searchTenants } from '../../../functions/api/console/pages/tenants/call-search.js';

const equal = (sentence, got, wanted) => assert.deepEqual(got, wanted, sentence);
const holds = (sentence, condition) => assert.ok(condition, sentence);
const nothing = (sentence, wrong) => assert.deepEqual(wrong, [], sentence);

const delivery = (endpoint, state, more = {}) => ({ endpoint, state, delivery: `e.${endpoint}`, attempts: 1, ...more });
const endpoint = (id, more = {}) => ({ id, state: 'active', hold: null, kept_until: null, rate_limit: null, ...more });
const counted = (count) => ({ count, at_least: false });
const health = (state, held = 0, failures = 0, more = {}) => ({
  state,
  held: counted(held),
  retrying: counted(0),
  failures_in_row: failures,
  last_failure: null,
  drain: null,
  ...more,
});

test('of a call: what did not arrive, what nobody wanted, how it stands, and one axis of time', () => {
  const final = arrivals([delivery('a', 'dead'), delivery('b', 'succeeded'), delivery('a', 'succeeded'), delivery('b', 'dead')]);
  equal(
    'what arrived once has arrived, whatever its replays did',
    final.map(({ state }) => state),
    ['succeeded', 'succeeded'],
  );
  const events = [
    { id: 'e1', type: 'call.started', deliveries: 2, states: [delivery('a', 'retrying'), delivery('b', 'succeeded')] },
    {
      id: 'e2',
      type: 'call.ended',
      deliveries: 2,
      states: [delivery('a', 'dead', { reason: 'gone' }), delivery('b', 'canceled', { reason: 'erased' })],
    },
    { id: 'e3', type: 'call.ended', deliveries: 0, states: [] },
  ];
  equal(
    'of a call: what is given up first, and nothing that was erased',
    unarrived(events, []).map((group) => [group.state, group.deliveries.map((one) => one.event)]),
    [
      ['dead', ['e2']],
      ['retrying', ['e1']],
    ],
  );
  equal('how all of it stands', standing(events), { retrying: 1, succeeded: 1, dead: 1, canceled: 1 });
  equal(
    'what nobody wanted',
    unwanted(events).map(({ id }) => id),
    ['e3'],
  );
  const { place } = scaleOf([0, 1000, 3_600_000]);
  holds(
    'seconds and hours fit on one axis, in order',
    place(0) === 0 && place(1000) > 0.05 && place(1000) < place(3_600_000) && place(3_600_000) === 1,
  );
  equal('nothing has no chart', chartOf([]), null);
});

test('what needs somebody comes first, each thing once', () => {
  const endpoints = [
    endpoint('ok'),
    endpoint('hold', { hold: {} }),
    endpoint('off', { state: 'disabled' }),
    endpoint('rest', { state: 'paused' }),
    endpoint('new', { state: 'inactive' }),
    endpoint('bad'),
  ];
  const healthOf = { hold: health('held', 7), rest: health('paused', 0), bad: health('failing', 0, 6) };
  const dead = { count: 3, at_least: false, counts: [{ by: 'endpoint', values: [{ value: 'hold', count: 3 }] }] };
  equal(
    'what needs somebody, the most urgent first, each once',
    attention({ endpoints, healthOf, dead, total: null }).map(({ kind }) => kind),
    ['disabled', 'held', 'failing', 'dead', 'inactive'],
  );
  equal(
    'a tenant that is well needs nobody',
    attention({
      endpoints: [endpoint('ok')],
      healthOf: {},
      dead: { count: 0 },
      total: { succeeded: 999, dead: 1, success_rate: 0.999 },
    }),
    [],
  );
  const retrying = { ok: health('healthy', 0, 1, { retrying: counted(2) }), bad: health('healthy', 5, 0, { last_failure: {} }) };
  equal(
    'what is being retried or recovers is told, although nothing fails',
    attention({ endpoints: [endpoint('ok'), endpoint('bad')], healthOf: retrying, dead: { count: 0 }, total: null }).map(
      ({ kind, n }) => [kind, n],
    ),
    [
      ['retrying', 2],
      ['recovering', 5],
    ],
  );
  const numbers = waitingOf(retrying);
  equal('how much waits', [numbers.endpoints, numbers.retrying.count, numbers.held.count], [1, 2, 5]);
  equal(
    'where the deliveries cannot be looked through the statistics tell of them',
    attention({ endpoints: [endpoint('ok')], healthOf: {}, dead: { count: 0 }, isKnown: false, total: { retrying: 3, held: 1 } }),
    [{ kind: 'waiting', n: 4 }],
  );
  equal('where some are missing the others are asked, too', worthAsking(endpoints, [{ endpoint: 'bad' }], 10, false).at(-1), 'ok');
  equal('health is asked for where it decides', worthAsking(endpoints, [{ endpoint: 'bad' }], 10), ['hold', 'off', 'rest', 'bad']);
});

test('a recovery is one: neither what was kept back, nor what a rate limit holds', () => {
  const after = (more) => health('healthy', 3, 0, { last_failure: {}, oldest_held_at: '2026-03-04T10:00:00Z', ...more });
  const kept = endpoint('e', { kept_until: '2026-03-04T11:00:00Z' });
  equal(
    'which of them recover',
    [
      isRecovering(endpoint('e'), after()),
      isRecovering(endpoint('e'), health('healthy', 3, 0, { drain: { what: {} } })),
      isRecovering(endpoint('e'), after({ drain: { what: { action: 'discard' } } })),
      isRecovering(kept, after()),
      isRecovering(endpoint('e', { rate_limit: 5 }), after()),
      isRecovering(endpoint('e'), after({ last_failure: null }), Date.parse('2026-03-04T10:00:30Z')),
      isRecovering(endpoint('e'), after({ last_failure: null }), Date.parse('2026-03-04T10:05:00Z')),
      isRecovering(endpoint('e'), health('held', 3)),
      isRecovering(endpoint('e'), health('healthy', 0)),
      isRecovering(endpoint('e'), null),
    ],
    [true, true, false, false, false, false, true, false, false, false],
  );
});

test('what waits for its endpoint has no next attempt, and says what it waits for', () => {
  const held = { state: 'held', reason: 'endpoint_failing', next_at: '2026-03-04T10:00:00Z', accepted_at: '2026-03-04T09:00:00Z', attempts: [] };
  equal(
    'when they go on',
    [held, { ...held, reason: 'rate_limited' }, { ...held, state: 'retrying', reason: null }, { ...held, state: 'dead' }].map(goesAt),
    [null, held.next_at, held.next_at, null],
  );
  const since = '2026-03-04T09:30:00Z';
  equal(
    'why, and since when',
    [
      holdOf(held, endpoint('e', { hold: { since } })),
      holdOf(held, endpoint('e', { state: 'paused' })),
      holdOf({ ...held, attempts: [{}] }, endpoint('e', { state: 'disabled' })),
      holdOf(held, endpoint('e')),
      holdOf(held, endpoint('e', { kept_until: since })),
      holdOf(held, undefined),
    ].map(({ kind, since: from }) => [kind, from]),
    [
      ['failing', since],
      ['paused', held.accepted_at],
      ['disabled', null],
      ['recovering', null],
      ['kept', null],
      ['failing', held.accepted_at],
    ],
  );
  equal('a sentence has its moments apart', momentsIn('follows at 2026-03-04T10:00:00.123Z, or 2026-03-04T10:00:00Z.'), [
    'follows at ',
    '2026-03-04T10:00:00.123Z',
    ', or ',
    '2026-03-04T10:00:00Z',
    '.',
  ]);
});

test('tenants are asked for a call a few at a time, hits are told at once, and a stop is one', async () => {
  const pages = async function* () {
    yield Array.from({ length: 10 }, (_, n) => ({ id: `a${n}` }));
    yield [{ id: 'b' }];
  };
  let open = 0;
  let most = 0;
  const told = [];
  const ask = async ({ id }) => {
    open += 1;
    most = Math.max(most, open);
    await Promise.resolve();
    open -= 1;
    if (id === 'a3') throw new Error('no answer');
    return id === 'a1' || id === 'b' ? { id } : null;
  };
  const progress = await searchTenants(pages(), ask, (now) => told.push(now), new AbortController().signal);
  equal('all were asked', [progress.asked, progress.known, progress.failed], [11, 11, 1]);
  equal(
    'and two have it',
    progress.hits.map(({ tenant }) => tenant.id),
    ['a1', 'b'],
  );
  equal('so many at once', most, AT_ONCE);
  holds('the first hit is told before the others were asked', told.find(({ hits }) => hits.length === 1).asked < 5);
  const stop = new AbortController();
  const stopped = await searchTenants(pages(), async () => stop.abort(), () => {}, stop.signal);
  holds(`after a stop nobody is asked any more: ${stopped.asked}`, stopped.asked <= AT_ONCE);
});

test('a replay asks only what its kind takes, and says what is missing', () => {
  const forms = Object.keys(SOURCES).map((source) => {
    const form = {
      ...fromQuery({}),
      event: 'e',
      delivery: 'd',
      call_id: 'c',
      endpoint: 'ep',
      since: '2026-01-01T00:00:00Z',
      rate: ' 5 ',
    };
    return [source, bodyOf(source, form)];
  });
  nothing(
    'a replay asks only what its kind takes',
    forms.filter(([source, body]) =>
      Object.keys(body).some((name) => name !== 'missing' && !SOURCES[source].fields.includes(name)),
    ),
  );
  equal(
    'numbers are numbers',
    forms.map(([, body]) => body.rate),
    forms.map(() => 5),
  );
  equal('what is missing or cannot be is named', faults('endpoint', { ...fromQuery({}), rate: '0', since: '2', until: '1' }), {
    endpoint: 'required',
    rate: 'rate',
    until: 'range',
  });
  const form = fromQuery({ event_types: 'call.*,call.ended', since: 'x' });
  equal(
    'a form survives its address',
    fromQuery(Object.fromEntries(Object.entries(toQuery('endpoint', form)).filter(([, value]) => value))),
    form,
  );
});

test('no schema stops the page, and one is begun from an example', () => {
  const cyclic = {
    type: 'object',
    properties: { again: { $ref: '#' }, other: { $ref: '#/properties/other' }, far: { $ref: 'https://elsewhere.invalid/x' } },
  };
  holds('a schema that names itself ends', rowsOf(cyclic).length < 5000);
  const hostile = ['x', 5, null, [], { properties: 5 }, { properties: { a: 7 }, required: 'a', enum: {} }, { oneOf: [null, true] }];
  nothing(
    'no schema stops the page',
    hostile
      .filter((schema) => {
        try {
          rowsOf(schema);
          return false;
        } catch {
          return true;
        }
      })
      .map((schema) => JSON.stringify(schema)),
  );
  equal('a schema is begun from an example', schemaOf({ at: '2026-03-04T10:00:00Z', n: 1.5, list: [1] }), {
    type: 'object',
    required: ['at', 'n', 'list'],
    properties: {
      at: { type: 'string', format: 'date-time' },
      n: { type: 'number' },
      list: { type: 'array', items: { type: 'integer' } },
    },
  });
});

test('waits, ranges, tokens and ids', () => {
  equal(
    'after failures it asks less often, and when it was told to',
    [waitAfter(2000, 0), waitAfter(2000, 3), waitAfter(2000, 99), waitAfter(2000, 1, { retryAfter: 30 })],
    [2000, 16_000, 60_000, 30_000],
  );
  equal(
    'a range ends now, and explicit times win',
    [rangeOf({ range: '1h' }, Date.parse('2026-03-04T10:00:30Z')), rangeOf({ range: '1h', until: 'x' }), rangeOf({ range: 'x' })],
    [
      { since: '2026-03-04T09:00:00.000Z', until: null },
      { since: null, until: 'x' },
      { since: null, until: null },
    ],
  );
  equal(
    'a portal’s token is what stands behind #',
    ['#rdp_x', '', '#token=rdp_y&language=ar', '#%E0%A4'].map((hash) => fragment(hash).token),
    ['rdp_x', null, 'rdp_y', '%E0%A4'],
  );
  equal(
    'an id is looked for where it most likely is',
    ['call_1', 'evt_1', 'ep_1', 'rpl_1', 'e.ep_1'].map((id) => candidates('acme', id)[0].page[0]),
    ['calls', 'events', 'endpoints', 'replays', 'deliveries'],
  );
});
