// Addresses and pages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { match, parseQuery, patchSearch, path, safeHref, withBase } from '../../../functions/api/console/lib/router.js';
import { OPERATOR_MENU, ROUTES, TENANT_MENU } from '../../../functions/api/console/routes.js';
import { fragment } from '../../../functions/api/console/pages/parts/fragment.js';
import { candidates } from '../../../functions/api/console/lib/layout/finder.js';
import { matching } from '../../../functions/api/console/lib/layout/tenant-switch.js';
import { files } from '../sources.mjs';

const at = (address) => {
  const { name, params } = match(ROUTES, address);
  return [name, params];
};

test('each address finds its page, with and without the base', () => {
  assert.deepEqual(at('/console'), ['tenants', {}]);
  assert.deepEqual(at('/console/'), ['tenants', {}]);
  assert.deepEqual(at('/console/t/acme'), ['overview', { tenant: 'acme' }]);
  assert.deepEqual(at('/t/acme/'), ['overview', { tenant: 'acme' }]);
  assert.deepEqual(at('/console/t/acme/endpoints/new'), ['endpoint-new', { tenant: 'acme' }]);
  assert.deepEqual(at('/console/t/acme/endpoints/ep_1'), ['endpoint', { tenant: 'acme', endpoint: 'ep_1' }]);
  assert.deepEqual(at('/console/nothing/here'), ['not-found', {}]);
  assert.deepEqual(at('/consoles'), ['not-found', {}]);
});

test('an id of any characters goes into an address and comes out again', () => {
  const id = 'a/b?c#d%e:f é';
  assert.deepEqual(at(withBase(path('t', 'acme', 'events', id))), ['event', { tenant: 'acme', event: id }]);
  assert.deepEqual(at('/console/t/acme/events/%E0%A4%A'), ['not-found', {}]);
});

test('every route has its page and every page its route', () => {
  const pages = files('.js').filter((file) => /^pages\/[^/]+\.js$/.test(file)).map((file) => file.slice('pages/'.length, -'.js'.length));
  assert.deepEqual([...ROUTES.map((route) => route.name), 'not-found'].sort(), pages.sort());
});

test('every entry of the menu leads to a page of its section', () => {
  for (const entry of TENANT_MENU) assert.equal(match(ROUTES, path('t', 'acme', ...entry.segments)).route.section, entry.section);
  for (const entry of OPERATOR_MENU) assert.equal(match(ROUTES, entry.to).route.section, entry.section);
});

test('filters live in the query: a change keeps the others, and what is empty goes', () => {
  assert.equal(patchSearch('?type=call.*&cursor=x', { cursor: null, agent: 'a b' }), '?type=call.*&agent=a+b');
  assert.equal(patchSearch('?type=x', { type: '' }), '');
  assert.deepEqual(parseQuery('?a=1&a=2&b=&__proto__=x'), { a: '1' });
});

test('only absolute http and https addresses become links', () => {
  for (const bad of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'data:text/html,x', '//evil.example', '/v1', 'ftp://x', ' https://x', 'https://', '', null, {}]) {
    assert.equal(safeHref(bad), null, String(bad));
  }
  assert.equal(safeHref('https://example.com/a?b=1'), 'https://example.com/a?b=1');
  assert.equal(safeHref('HTTP://example.com'), 'http://example.com/');
});

test('an address of another site never leaves the console', () => {
  for (const wish of ['//evil.example', 'https://evil.example', '\\\\evil.example', 'javascript:alert(1)']) {
    assert.equal(new URL(withBase(wish), 'https://redial.example/console/').origin, 'https://redial.example', wish);
  }
});

test('the token of a portal link is read in either form', () => {
  assert.deepEqual(fragment('#rdp_abc-_.x'), { token: 'rdp_abc-_.x', language: null });
  assert.deepEqual(fragment('#token=rdp_x&language=ar'), { token: 'rdp_x', language: 'ar' });
  assert.deepEqual(fragment(''), { token: null, language: null });
  assert.deepEqual(fragment('#'), { token: null, language: null });
});

test('the search tries first what an id looks like', () => {
  assert.equal(candidates('acme', 'call_1')[0].page[0], 'calls');
  assert.equal(candidates('acme', 'evt_1')[0].page[0], 'events');
  assert.equal(candidates('acme', 'evt_1.ep_2')[0].page[0], 'deliveries');
  assert.equal(candidates('acme', 'ep_2')[0].page[0], 'endpoints');
  assert.equal(candidates('acme', 'rpl_2')[0].page[0], 'replays');
});

test('tenants are found by id and name, and what begins with the words comes first', () => {
  const tenants = [{ id: 'big-acme', name: null }, { id: 'x1', name: 'Acme' }, { id: 'zeta' }];
  assert.deepEqual(matching(tenants, ' ACME ').map((tenant) => tenant.id), ['x1', 'big-acme']);
  assert.equal(matching(tenants, '').length, 3);
});
