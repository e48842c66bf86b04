// What the console gives a receiver's author to copy is what docs/verify has, which is run against requests that Redial sent
// (`tests/outside/run snippets`): a snippet that drifted from it would be one that nobody has tried.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { snippetsFor } from '../../../functions/api/console/pages/endpoint/snippets.js';

const TRIED = { js: 'verify.mjs', python: 'verify.py', go: 'verify.go', php: 'verify.php', ruby: 'verify.rb', java: 'Verify.java' };

// Their main programs need more imports than the function; a text in a template literal has no backticks.
const linesOf = (text) => text.replaceAll('`', '').split('\n').map((line) => line.trim()).filter((line) => line !== '');

/** The lines of `some` that are not in `all`, in that order. */
function missing(some, all) {
  let at = 0;
  return some.filter((line) => {
    const found = all.indexOf(line, at);
    if (found >= 0) at = found + 1;
    return found < 0;
  });
}

for (const { id, code } of snippetsFor('standard')) {
  test(`the ${id} snippet is the code that is tried`, () => {
    const tried = readFileSync(new URL(`../../../docs/verify/${TRIED[id]}`, import.meta.url), 'utf8');
    assert.deepEqual(missing(linesOf(code), linesOf(tried)), []);
  });
}

test('a line that differs is seen, and so is one that comes too early', () => {
  assert.deepEqual(missing(['a', 'b'], ['a', 'B']), ['b']);
  assert.deepEqual(missing(['b', 'a'], ['a', 'b']), ['a']);
});

test('every language of docs/verify has its snippet', () => {
  assert.deepEqual(snippetsFor('standard').map(({ id }) => id).sort(), Object.keys(TRIED).sort());
});
