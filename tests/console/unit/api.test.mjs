// The API's errors and addresses, without a server.
import assert from 'node:assert/strict';
import { afterEach, before, test } from 'node:test';
import { setReader, loadAreas } from '../../../functions/api/console/lib/i18n.js';
import {
  all, api, apiFull, ApiError, errorMend, errorText, errorTitle, pages, problem, queryString, setToken, setUnauthorized, tenantApi,
} from '../../../functions/api/console/lib/api.js';
import { read } from '../sources.mjs';

before(async () => {
  setReader(async (language, area) => JSON.parse(read(`messages/${language}/${area}.json`)));
  await loadAreas(['common']);
});

const asked = [];
function answering(...answers) {
  asked.length = 0;
  globalThis.fetch = async (url, init) => {
    asked.push({ url, ...init });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    const { status = 200, body = '', headers = { 'content-type': 'application/json' } } = answer;
    return new Response(status === 204 ? null : body, { status, headers });
  };
}
afterEach(() => setToken(null));

test('an id of any characters stays one segment of the path', () => {
  assert.equal(tenantApi('acme', 'events', 'a/b?c#d'), '/v1/tenants/acme/events/a%2Fb%3Fc%23d');
});

test('what is empty is left out of the query', () => {
  assert.equal(queryString({ type: 'call.*', agent: '', since: null, endpoint: undefined, live: false, limit: 0 }), '?type=call.*&live=false&limit=0');
  assert.equal(queryString({ agents: ['a', 'b'] }), '?agents=a%2Cb');
  assert.equal(queryString({ agents: [] }), '');
});

test('a problem document becomes an error with its code, field and wait', async () => {
  answering({ status: 422, body: '{"code":"url_invalid","field":"url","detail":"must begin with https://","misfits":[{"path":""}]}' });
  await assert.rejects(api('POST', '/v1/x', { body: {} }), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.code, error.field, error.misfits.length], [422, 'url_invalid', 'url', 1]);
    assert.equal(errorText(error), 'must begin with https://');
    assert.equal(error.temporary, false);
    return true;
  });
});

test('an answer of a proxy, no problem document, is an error too', () => {
  const error = problem(502, '<html>Bad Gateway</html>');
  assert.deepEqual([error.status, error.code, error.detail], [502, 'http_502', '']);
  assert.equal(errorText(error), 'Redial has a problem');
  assert.equal(problem(400, '[1]').code, 'http_400');
  assert.equal(problem(400, 'null').code, 'http_400');
  assert.equal(problem(400, '{"code":7,"detail":{}}').code, 'http_400');
});

test('a 429 says how long to wait', () => {
  const error = problem(429, '{}', '7');
  assert.equal(error.retryAfter, 7);
  assert.equal(errorMend(error), 'Try again in 7 seconds.');
  assert.equal(errorMend(problem(429, '{}', 'Wed, 21 Oct 2026 07:28:00 GMT')), 'Try again in 1 second.');
});

test('no connection is an error of its own, and a request given up is none of ours', async () => {
  answering(new TypeError('Failed to fetch'));
  await assert.rejects(api('GET', '/v1'), (error) => error.status === 0 && error.code === 'network' && errorTitle(error) === 'No connection');
  answering(Object.assign(new Error('aborted'), { name: 'AbortError' }));
  await assert.rejects(api('GET', '/v1'), { name: 'AbortError' });
});

test('what is not an error of the API is said in general words', () => {
  assert.equal(errorText(new TypeError('x is undefined')), 'Something went wrong on this page');
  assert.equal(errorText(undefined), 'Something went wrong on this page');
  assert.equal(errorMend(undefined), '');
});

test('the text of an answer keeps the spelling of its numbers, and its etag is there', async () => {
  answering({ body: '{"n":1.0e2}', headers: { 'content-type': 'application/json', etag: '"3"' } });
  const answer = await apiFull('GET', '/v1/x');
  assert.deepEqual([answer.text, answer.data.n, answer.etag], ['{"n":1.0e2}', 100, '"3"']);
});

test('a 204 has no data, and what claims to be JSON and is none is an error', async () => {
  answering({ status: 204 });
  assert.equal(await api('DELETE', '/v1/session'), null);
  answering({ body: '{"n":' });
  await assert.rejects(api('GET', '/v1'), { code: 'answer_malformed' });
});

test('a portal token is sent as Bearer and without the cookie, the cookie without a token', async () => {
  answering({ body: '{}' }, { body: '{}' });
  await api('GET', '/v1');
  assert.equal(asked[0].credentials, 'same-origin');
  assert.equal(asked[0].headers.authorization, undefined);
  setToken('rdp_x');
  await api('POST', '/v1/y', { body: { a: 1 }, ifMatch: '"3"' });
  assert.equal(asked[1].credentials, 'omit');
  assert.equal(asked[1].headers.authorization, 'Bearer rdp_x');
  assert.equal(asked[1].headers['if-match'], '"3"');
  assert.equal(asked[1].body, '{"a":1}');
  assert.equal(asked[1].redirect, 'error');
});

test('a 401 is told to the session', async () => {
  let told = 0;
  setUnauthorized(() => (told += 1));
  answering({ status: 401, body: '{"code":"key_invalid"}' }, { status: 403, body: '{}' });
  await assert.rejects(api('GET', '/v1/x'));
  await assert.rejects(api('GET', '/v1/x'));
  assert.equal(told, 1);
});

test('pages follow the cursor with the same filters to the end', async () => {
  answering({ body: '{"items":[1,2],"next":"c1"}' }, { body: '{"items":[3],"next":null}' });
  const seen = [];
  for await (const page of pages('/v1/t', { state: 'dead' })) seen.push(...page.items);
  assert.deepEqual(seen, [1, 2, 3]);
  assert.deepEqual(asked.map((request) => request.url), ['/v1/t?state=dead', '/v1/t?state=dead&cursor=c1']);
});

test('a list that never ends is cut', async () => {
  answering(...Array.from({ length: 9 }, () => ({ body: '{"items":[1,2],"next":"c"}' })));
  assert.equal((await all('/v1/t', {}, { most: 5 })).length, 6);
});
