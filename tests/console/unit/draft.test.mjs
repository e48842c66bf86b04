// The form of an endpoint: what it sends to make one, and the smallest patch that makes of one another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  blame,
  creationOf,
  delaysOf,
  draftOf,
  faultOf,
  newDraft,
  numberOrText,
  patchOf,
  retryBody,
  stepOf,
  wantsType,
} from '../../../functions/api/console/pages/endpoint/draft.js';

const VIEW = {
  url: 'https://example.com/hook',
  description: 'the CRM',
  metadata: { team: 'sales' },
  event_types: ['call.*'],
  agents: ['agt_7'],
  exclude_agents: [],
  profile: 'standard',
  payload: 'full',
  auth: { type: 'api_key', header: 'x-key' },
  header_names: ['x-a', 'x-b'],
  timeout_ms: 10000,
  retry: { attempts: 9, delays: [5, 30] },
  rate_limit: null,
  dead_letter: { keep: true, days: null },
};

/** The patch of a change to what is shown. */
const edited = (change) => {
  const before = draftOf(VIEW);
  return patchOf(before, { ...before, ...change });
};

test('a new endpoint is inactive until its receiver was tried, and says only what somebody said', () => {
  const made = creationOf({ ...newDraft(), url: ' https://example.com ' });
  assert.deepEqual([made.active, made.url], [false, 'https://example.com']);
  for (const name of ['auth', 'secret', 'rate_limit', 'retry']) assert.ok(!(name in made), name);
});

test('a patch is what was changed, and nothing else', () => {
  assert.deepEqual(edited({}), {});
  assert.deepEqual(edited({ description: 'new' }), { description: 'new' });
  assert.deepEqual(edited({ labels: [{ name: 'owner', value: 'ana' }] }), { metadata: { team: null, owner: 'ana' } });
});

test('chosen types without a choice are no draft to send: to the API they were all', () => {
  const some = draftOf(VIEW);
  assert.deepEqual(
    [newDraft(), some, { ...some, eventTypes: [] }, { ...some, eventTypes: [], isChoosing: false }].map(faultOf),
    [null, null, 'event_types', null],
  );
});

test('a header that nobody touched keeps its value', () => {
  const headers = [
    { name: 'x-a', value: '', known: true },
    { name: 'x-c', value: 'v' },
  ];
  assert.deepEqual(edited({ headers }), { headers: { 'x-b': null, 'x-c': 'v' } });
});

test('authentication is kept, unless it is set anew or taken away', () => {
  assert.deepEqual(edited({ authKind: 'keep' }), {});
  assert.deepEqual(edited({ authKind: 'none' }), { auth: null });
  assert.deepEqual(edited({ authKind: 'bearer', auth: { ...newDraft().auth, token: ' t ' } }), {
    auth: { type: 'bearer', token: 't' },
  });
});

test('retries as the API takes them', () => {
  assert.equal(retryBody({ kind: 'default' }), null);
  assert.deepEqual(retryBody({ kind: 'list', attempts: '', delays: '5, 30;60' }), { attempts: null, delays: [5, 30, 60] });
  assert.deepEqual(retryBody({ kind: 'growing', attempts: '4', baseS: '2', factor: '' }), { attempts: 4, base_s: 2, factor: null });
  assert.deepEqual(retryBody({ kind: 'fixed', attempts: '3', delayMs: '1500' }), { attempts: 3, delay_ms: 1500 });
});

test('what is no number is sent as it was typed, to be refused by its field', () => {
  assert.deepEqual(['5 s', ' 5 ', ''].map(numberOrText), ['5 s', 5, null]);
});

test('a prefix is all below it, and no filter is everything', () => {
  assert.ok(wantsType([], 'x') && wantsType(['call.*'], 'call.ended'));
  assert.ok(!wantsType(['call.*'], 'calls.x') && !wantsType(['call.ended'], 'call.ended.x'));
});

test('the waits of a policy, one after each failure', () => {
  assert.deepEqual(delaysOf({ attempts: 4, delays: [1, 2] }), [1, 2, 2]);
  assert.deepEqual(delaysOf({ attempts: 4, base_s: 2, factor: 3 }), [2, 6, 18]);
  assert.deepEqual(delaysOf({ attempts: 2, delay_ms: 1500 }), [2]);
  assert.deepEqual(delaysOf({ attempts: 1 }), []);
});

test('an error leads to its step and its field', () => {
  const refused = { field: 'retry.delays', detail: 'too many' };
  assert.deepEqual(
    [stepOf(refused), blame(refused, 'retry'), blame(refused, 'url'), stepOf({})],
    ['delivery', 'Too many', null, null],
  );
});
