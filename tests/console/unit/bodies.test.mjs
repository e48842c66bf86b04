// The body that "copy as curl" builds is the one that Redial sends, for every profile (the answers are those of
// shared/domain/src/profile/tests.rs), and its table of names is the server's.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bodyOf } from '../../../functions/api/console/pages/parts/profile-bodies.js';
import { UTEL, VOICEHUB } from '../../../functions/api/console/pages/parts/profile-names.js';

const NAMES = JSON.parse(readFileSync(new URL('../../../shared/domain/src/profile/names.json', import.meta.url), 'utf8'));
const AT = '2026-11-20T05:03:46Z';

/** The API's answer of an event whose data is this text. */
function answered({ type = 'call.ended', agent = null, data = '{}', related = {}, links = {} }) {
  const head = { id: 'src_1', type, agent, occurred_at: AT, accepted_at: AT, deliveries: 1, related };
  return `${JSON.stringify(head).slice(0, -1)},"data":${data},"links":${JSON.stringify(links)},"endpoints":["ep_1"]}`;
}

function body(profile, event, { payload = 'full', analysisUrl = null } = {}) {
  const eventText = answered(event);
  return bodyOf(profile, { tenant: 'acme', event: JSON.parse(eventText), eventText, origin: 'https://redial.example', payload, analysisUrl });
}

const CALL = { agent: 'agt_7', data: '{"z" :1, "a":9007199254740993}', related: { call_id: 'c1' }, links: { call: 'https://p.example/c1' } };
const OWN = 'https://redial.example/v1/tenants/acme/events/src_1';

test('the standard body is the envelope, its data byte for byte as posted', () => {
  assert.equal(body('standard', CALL), `{"type":"call.ended","timestamp":"${AT}","id":"src_1","tenant":"acme","agent":"agt_7",`
    + `"data":{"z" :1, "a":9007199254740993},"related":{"call_id":"c1"},"links":{"call":"https://p.example/c1","event":"${OWN}"}}`);
  assert.equal(body('standard', { type: 'a', data: '7' }), `{"type":"a","timestamp":"${AT}","id":"src_1","tenant":"acme","data":7,"links":{"event":"${OWN}"}}`);
  assert.ok(body('standard', { related: { b: '1', 10: '2', a: '3' } }).includes('"related":{"10":"2","a":"3","b":"1"}'));
});

test('a thin body holds ids and links alone', () => {
  assert.ok(!body('standard', CALL, { payload: 'thin' }).includes('"data"'));
  assert.equal(body('utel', CALL, { payload: 'thin' }), `{"time":"${AT}","data":{"event":"call_ended","call_id":"c1"}}`);
});

test('voicehub gets its flat body', () => {
  const sent = (type, data) => body('voicehub', { type, data, related: { call_id: 'c1' } });
  assert.equal(sent('call.failed', '{"status":"busy"}'), `{"eventType":"CallStatusChanged","timestamp":"${AT}","eventId":"src_1","status":"busy","callId":"c1"}`);
  for (const [type, data, status] of [['call.queued', '{"status":"waiting"}', 'queued'], ['call.ended', '{"status":7}', 'completed'], ['call.ended', '[1]', 'completed']]) {
    assert.ok(sent(type, data).includes(`"status":"${status}"`), `${type} ${data}`);
  }
  assert.equal(sent('recording.ready', '{"status":"failed"}'), `{"eventType":"RecordingsAvailable","timestamp":"${AT}","eventId":"src_1","callId":"c1"}`);
});

test('voicehub links an analysis to its record or by the template of the tenant', () => {
  const event = { type: 'analysis.ready', data: '{"call_id":"c/1","analysis_id":"an 1"}' };
  const analysisUrl = 'https://p.example/{call_id}/{analysis_id}?e={event_id}';
  const linked = body('voicehub', { ...event, links: { analysis: 'https://p.example/an1' } }, { analysisUrl });
  assert.equal(linked, `{"eventType":"AnalysisResultReady","analysisId":"an 1","timestamp":"${AT}","eventId":"src_1","callId":"c/1","analysisResultUrl":"https://p.example/an1"}`);
  assert.ok(body('voicehub', event, { analysisUrl }).endsWith('"callId":"c/1","analysisResultUrl":"https://p.example/c%2F1/an%201?e=src_1"}'));
  assert.ok(!body('voicehub', event).includes('analysisResultUrl'));
});

test('utel names the event in its data and keeps the rest as posted', () => {
  assert.equal(body('utel', CALL), `{"time":"${AT}","data":{"event":"call_ended","z":1,"a":9007199254740993}}`);
  const moved = (data) => body('utel', { type: 'transfer.completed', data });
  assert.ok(moved('{"kind":"attended"}').includes('"event":"call_attended_transferred","kind":"attended"'));
  for (const data of ['{"kind":"blind"}', '{"kind":7}', '{"kind":"constructor"}', '{}', '7']) assert.ok(moved(data).includes('"event":"call_blind_transferred"'), data);
  assert.ok(body('utel', { type: 'call.started', data: '{"event":"mine","n":1}' }).endsWith('"data":{"event":"call_started","n":1}}'));
});

test('the names of the profiles are those of the server', () => {
  assert.deepEqual(VOICEHUB, NAMES.voicehub);
  const known = Object.entries(NAMES.utel).map(([type, { switch: _, ...row }]) => [type, row]);
  assert.deepEqual(UTEL, Object.fromEntries(known));
});
