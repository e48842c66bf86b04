// The payload inspector's reader against JSON.parse: thousands of made-up documents, whole and broken, the same at every run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { find, parse, pathOf, pretty } from '../../../functions/api/console/lib/json/parse.js';

const DOCUMENTS = 2000;

/** Numbers from a seed: the same documents at every run. */
function seeded(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const LETTERS = ['a', '"', '\\', '/', '\n', '\t', '\u0000', '\u202e', 'ü', 'ع', '😀', '\ud800', '<', '{', ']', ','];

function made(random, depth = 0) {
  const word = () => Array.from({ length: random(6) }, () => LETTERS[random(LETTERS.length)]).join('');
  const kind = random(depth > 4 ? 5 : 7);
  if (kind === 5) return Array.from({ length: random(4) }, () => made(random, depth + 1));
  if (kind === 6) return Object.fromEntries(Array.from({ length: random(4) }, () => [word(), made(random, depth + 1)]));
  return [null, true, word(), random(1e9) / 1000 - 5e5, -random(100) * 1e30][kind];
}

/** What a tree says, as JSON.parse would have it. */
function valueOf(node) {
  if (node.type === 'object') return Object.fromEntries(node.children.map((child) => [child.key, valueOf(child)]));
  if (node.type === 'array') return node.children.map(valueOf);
  return node.type === 'string' ? node.value : JSON.parse(node.value);
}

const isTaken = (read) => {
  try {
    read();
    return true;
  } catch {
    return false;
  }
};

const random = seeded(7);
const texts = Array.from({ length: DOCUMENTS }, (_, n) => JSON.stringify(made(random), null, n % 3));

test('whole documents are read as JSON.parse reads them, and pretty ones say the same', () => {
  for (const text of texts) {
    const wanted = JSON.parse(text);
    assert.deepEqual(valueOf(parse(text)), wanted, text);
    assert.deepEqual(JSON.parse(pretty(text)), wanted, text);
  }
});

test('what JSON.parse refuses of broken ones is refused, and nothing else', () => {
  for (const text of texts) {
    const cut = text.slice(0, random(text.length + 1));
    const at = random(text.length);
    const spoilt = text.slice(0, at) + LETTERS[random(LETTERS.length)] + text.slice(random(text.length));
    for (const one of [cut, spoilt])
      assert.equal(
        isTaken(() => parse(one)),
        isTaken(() => JSON.parse(one)),
        one,
      );
  }
});

test('everything is found by its own words, and the way to it leads there', () => {
  const root = parse('{"a":{"B":["x","needle"]}}');
  assert.deepEqual(find(root, 'NEEDLE').map(pathOf), ['a.B[1]']);
});
