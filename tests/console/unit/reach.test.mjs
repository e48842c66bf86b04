// That nothing is forgotten: every page of the router is gone through by the browser's suites, every script is reached, and none
// asks with the browser's own dialogs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROUTES } from '../../../functions/api/console/routes.js';
import { compile } from '../../../functions/api/console/lib/router.js';
import { pages } from '../lib/pages.mjs';
import { importsOf, laterOf, modules, read } from '../sources.mjs';

const item = { endpoint: 'ep_1', id: 'd_1', event: 'e_1', related: { call_id: 'c_1' } };
const world = {
  busy: 'acme',
  empty: 'quiet',
  endpoints: new Proxy({}, { get: () => item }),
  api: { do: async (_, path) => (path.includes('/events/') ? item : { items: [item] }) },
};

test('each page of the router is gone through in a browser', async () => {
  const paths = (await pages(world)).map(({ path }) => path.split('?')[0]);
  const missed = ROUTES.filter(({ pattern }) => !paths.some((path) => compile(pattern)(path)));
  assert.deepEqual(
    missed.map(({ name }) => name),
    [],
  );
});

test('no two of them have the same name', async () => {
  const names = (await pages(world)).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

test('no script is left that nothing reaches', () => {
  const named = new Set(modules().flatMap((path) => [...importsOf(path), ...laterOf(path)]));
  const isPage = (path) => [...ROUTES.map(({ name }) => name), 'not-found'].includes(/^pages\/([^/]+)\.js$/.exec(path)?.[1]);
  const started = [...read('index.html').matchAll(/src="\/console\/([^"]+)"/g)].map((found) => found[1]);
  assert.deepEqual(
    modules().filter((path) => !named.has(path) && !isPage(path) && !started.includes(path)),
    [],
  );
});

test('none asks with a dialog of the browser', () => {
  for (const path of modules()) assert.doesNotMatch(read(path), /(?<![\w.])(alert|confirm|prompt)\(/, path);
});
