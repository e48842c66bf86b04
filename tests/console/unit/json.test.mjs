// The payload inspector's reader: what it keeps, what it refuses, how fast it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { find, MAX_DEPTH, member, parse, pathOf, pretty, quoted } from '../../../functions/api/console/lib/json/parse.js';

const shape = (node) => {
  if (!node.children) return node.type === 'string' ? node.value : `<${node.value}>`;
  return node.type === 'array' ? node.children.map(shape) : Object.fromEntries(node.children.map((child) => [child.key, shape(child)]));
};

test('numbers keep their spelling', () => {
  const root = parse('{"a":1.0,"b":1e400,"c":12345678901234567890,"d":-0,"e":[1.50]}');
  assert.deepEqual(shape(root), { a: '<1.0>', b: '<1e400>', c: '<12345678901234567890>', d: '<-0>', e: ['<1.50>'] });
});

test('keys that come twice are both there, in their order', () => {
  const root = parse('{"b":1,"a":2,"b":3}');
  assert.deepEqual(root.children.map((child) => [child.key, child.value]), [['b', '1'], ['a', '2'], ['b', '3']]);
});

test('it takes what JSON.parse takes and refuses what that refuses', () => {
  const texts = ['{}', '[]', ' [ ] ', '""', '0', '-1.5E+3', 'true', 'null', '{"a":{"b":[{}]}}', '"\\u0041\\n\\"\\\\"', '[1,2,[3,[4]]]', '"é\u2028"',
    '', ' ', '{', '[1,]', '{"a":}', '{"a" 1}', '{a:1}', "['a']", '01', '1.', '.5', '+1', 'nul', 'nulls', '[1 2]', '"a', '"\n"', '"\\x"', '"\\u12"', '{}{}', '[}', ']',
    '{"a":1,}', 'NaN', '\ufeff{}', '{"a":1]', '[1},2]', ',', '[,1]', '{,}'];
  for (const text of texts) {
    let wanted;
    try {
      wanted = { value: JSON.parse(text) };
    } catch {
      wanted = null;
    }
    if (wanted === null) assert.throws(() => parse(text), SyntaxError, JSON.stringify(text));
    else assert.deepEqual(JSON.parse(pretty(text)), wanted.value, JSON.stringify(text));
  }
});

test('hostile depth is an error and not a full stack', () => {
  assert.throws(() => parse('['.repeat(200_000)), SyntaxError);
  assert.throws(() => parse(`${'['.repeat(MAX_DEPTH + 1)}${']'.repeat(MAX_DEPTH + 1)}`), SyntaxError);
  const deep = `${'['.repeat(MAX_DEPTH)}${']'.repeat(MAX_DEPTH)}`;
  assert.equal(JSON.stringify(JSON.parse(pretty(deep))), deep);
});

test('a megabyte is read and searched in no time', () => {
  const text = JSON.stringify({ items: Array.from({ length: 12_000 }, (_, n) => ({ id: n, text: 'Ωmega "quoted" \\ text', tags: ['a', 'b'] })) });
  assert.ok(text.length > 700_000);
  const from = process.cpuUsage();
  const root = parse(text);
  assert.equal(root.children[0].children.length, 12_000);
  assert.equal(find(root, 'ωmega').length, 1000);
  // Time of the processor, not of the wall: other work on the machine does not count.
  const { user, system } = process.cpuUsage(from);
  assert.ok(user + system < 1_500_000, `${(user + system) / 1000} ms`);
  assert.equal(parse(`"${'\\n'.repeat(500_000)}"`).value.length, 500_000);
});

test('the raw text of a member is cut out as it was sent', () => {
  const answer = '{"id":"x","data" : {"n":1.0,"s":"}\\"{","data":2}, "z":[1,{"a":"]"}]}';
  assert.equal(member(answer, 'data'), '{"n":1.0,"s":"}\\"{","data":2}');
  assert.equal(member(answer, 'z'), '[1,{"a":"]"}]');
  assert.equal(member(answer, 'id'), '"x"');
  assert.equal(member(answer, 'nothing'), null);
  assert.equal(member('[1]', 'a'), null);
  assert.equal(member('{}', 'a'), null);
  assert.equal(member('', 'a'), null);
});

test('what cannot be seen, or turns text round, is shown as an escape; letters stay letters', () => {
  assert.equal(quoted('مرحبا o‘zbek 😀'), '"مرحبا o‘zbek 😀"');
  assert.equal(quoted('a\u202eb\u200bc\u0000d\ne"f\\'), '"a\\u202eb\\u200bc\\u0000d\\ne\\"f\\\\"');
  assert.equal(quoted('\ud800x'), '"\\ud800x"');
});

test('the way to a part is written as a program would', () => {
  const root = parse('{"a":[{"b-c":{"d":1}}]}');
  const [hit] = find(root, 'd');
  assert.equal(pathOf(hit), 'a[0]["b-c"].d');
  assert.equal(pathOf(root), '');
});
