// The shell and the rules of the house: preloads, sizes, nothing that the content security policy forbids, no strange imports.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import * as preloads from '../preloads.mjs';
import { closure, files, importsOf, laterOf, modules, read, ROOT } from '../sources.mjs';

const MAX_LINES = 400;
const MAX_FIRST_PAGE = 150 * 1024;
const shell = read('index.html');

test('the shell preloads all that app.js needs before it runs, and nothing else', () => {
  assert.equal(shell, preloads.shell(), 'node tests/console/preloads.mjs writes it');
  const told = [...shell.matchAll(/<link rel="modulepreload" href="\/console\/([^"]+)">/g)].map((found) => found[1]);
  assert.deepEqual(told, closure('app.js').filter((path) => path !== 'app.js'));
});

test('what each page needs is asked for at once', () => {
  assert.equal(read('lib/ahead.js'), preloads.ahead(), 'node tests/console/preloads.mjs writes it');
});

test('every file that the shell names is there', () => {
  for (const [, path] of shell.matchAll(/"\/console\/([^"]+)"/g)) assert.ok(existsSync(join(ROOT, path)), path);
});

test('the shell links every style', () => {
  const linked = [...shell.matchAll(/<link rel="stylesheet" href="\/console\/([^"]+)">/g)].map((found) => found[1]);
  assert.deepEqual(linked.toSorted(), files('.css'));
});

test('the shell has nothing inline', () => {
  assert.doesNotMatch(shell, /<style|\sstyle=|\son\w+=|<script(?![^>]* src=)/);
});

test('imports name files of the console that are there', () => {
  for (const path of modules()) for (const other of [...importsOf(path), ...laterOf(path)]) assert.ok(existsSync(join(ROOT, other)), `${path} imports ${other}`);
});

test('only lib/preact.js touches the vendored framework, and no library imports a page', () => {
  for (const path of modules()) {
    for (const other of importsOf(path)) {
      if (other.startsWith('vendor/')) assert.equal(path, 'lib/preact.js');
      if (path.startsWith('lib/')) assert.ok(!other.startsWith('pages/'), `${path} imports ${other}`);
    }
  }
});

test('no module writes markup, styles or code from text', () => {
  const forbidden = /dangerouslySetInnerHTML|\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\sstyle=|setAttribute\(\s*['"](?:style|on)/;
  for (const path of modules()) assert.doesNotMatch(read(path).replace(/^\s*(\/\/|\*|\/\*).*$/gm, ''), forbidden, path);
});

test('every module says what it is, and is short', () => {
  for (const path of modules()) {
    const text = read(path);
    assert.ok(text.startsWith('// '), `${path} does not say what it is`);
    assert.ok(text.split('\n').length <= MAX_LINES, `${path} has more than ${MAX_LINES} lines`);
  }
});

test('styles follow the direction of reading, save where code is shown', () => {
  for (const path of files('.css')) {
    for (const line of read(path).split('\n')) {
      if (/\.json|\.code|\.secret|\.chart|\[dir="rtl"\]|\[dir="ltr"\]/.test(line)) continue;
      assert.doesNotMatch(line, /(?:margin|padding|border)-(?:left|right)|(?<![\w-])(?:left|right)\s*:|text-align:\s*(?:left|right)|float:/, `${path}: ${line.trim()}`);
    }
  }
});

test('the first page is small', () => {
  const first = ['index.html', 'app.js', 'boot.js', 'icon.svg', 'messages/en/common.json', ...files('.css'), ...closure('app.js')];
  for (const page of ['tenants', 'overview', 'sign-in']) {
    if (!existsSync(join(ROOT, `pages/${page}.js`))) continue;
    const all = new Set([...first, ...closure(`pages/${page}.js`)]);
    const size = [...all].reduce((sum, path) => sum + gzipSync(read(path)).length, 0);
    assert.ok(size <= MAX_FIRST_PAGE, `${page}: ${size} bytes`);
  }
});
