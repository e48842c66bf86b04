// JSON text -> a tree that keeps what JSON.parse loses: the spelling of numbers, keys that come twice, the order of keys. Pure; no
// recursion, so that hostile depth ends in an error and not in a full stack.

/** Deeper than this is not shown as a tree. Events have at most 64 levels; a receiver's answer may have any number. */
export const MAX_DEPTH = 512;

/**
 * @typedef {{type: 'object'|'array'|'string'|'number'|'boolean'|'null', key: string|null, value?: string, children?: Node[],
 *   id: number, parent: Node|null}} Node `value`: decoded text of a string, the spelling of anything else
 */

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\n\r]*/y;
const WORDS = { t: ['true', 'boolean'], f: ['false', 'boolean'], n: ['null', 'null'] };

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }
  fail(what = 'no JSON') {
    throw new SyntaxError(`${what} at ${this.at}`);
  }
  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) this.fail();
    this.at = pattern.lastIndex;
    return found[0];
  }
  /** The next character that is no white space. */
  next() {
    this.take(SPACE);
    return this.text[this.at];
  }
  string() {
    const raw = longString(this) ?? this.take(STRING);
    return raw.includes('\\') ? JSON.parse(raw) : raw.slice(1, -1);
  }
}

// The pattern's stack grows with escapes in some engines; a plain string without any is found by its end.
function longString(reader) {
  const end = reader.text.indexOf('"', reader.at + 1);
  if (reader.text[reader.at] !== '"' || end < 0) reader.fail();
  const raw = reader.text.slice(reader.at, end + 1);
  // eslint-disable-next-line no-control-regex
  if (raw.includes('\\') || /[\u0000-\u001f]/.test(raw)) return null;
  reader.at = end + 1;
  return raw;
}

function scalar(reader) {
  const first = reader.text[reader.at];
  if (first === '"') return { type: 'string', value: reader.string() };
  const word = WORDS[first];
  if (word) {
    if (!reader.text.startsWith(word[0], reader.at)) reader.fail();
    reader.at += word[0].length;
    return { type: word[1], value: word[0] };
  }
  return { type: 'number', value: reader.take(NUMBER) };
}

function keyOf(reader) {
  if (reader.next() !== '"') reader.fail('no key');
  const key = reader.string();
  if (reader.next() !== ':') reader.fail('no colon');
  reader.at += 1;
  return key;
}

/**
 * @param {string} text
 * @returns {Node} the root
 * @throws {SyntaxError} if it is no JSON, or deeper than MAX_DEPTH
 */
export function parse(text) {
  const reader = new Reader(text);
  const stack = [];
  let count = 0;
  let root = null;
  let key = null;
  for (;;) {
    const first = reader.next();
    let node;
    if (first === '{' || first === '[') {
      if (stack.length >= MAX_DEPTH) reader.fail('too deep');
      reader.at += 1;
      node = { type: first === '{' ? 'object' : 'array', children: [] };
    } else node = scalar(reader);
    const parent = stack.at(-1) ?? null;
    Object.assign(node, { key, id: count, parent });
    count += 1;
    if (parent) parent.children.push(node);
    else root = node;
    if (node.children) {
      const close = node.type === 'object' ? '}' : ']';
      if (reader.next() !== close) {
        stack.push(node);
        key = node.type === 'object' ? keyOf(reader) : null;
        continue;
      }
      reader.at += 1;
    }
    key = after(reader, stack);
    if (key === END) break;
  }
  if (reader.next() !== undefined) reader.fail('something follows');
  return root;
}

const END = Symbol('end');

// After a value: closes what is full; then the next key (null in an array), or END.
function after(reader, stack) {
  while (stack.length > 0) {
    const parent = stack.at(-1);
    const sign = reader.next();
    reader.at += 1;
    if (sign === ',') return parent.type === 'object' ? keyOf(reader) : null;
    if (sign !== (parent.type === 'object' ? '}' : ']')) reader.fail('no comma');
    stack.pop();
  }
  return END;
}

/**
 * The raw text of a top-level member of an object, with its spelling: `member(answer, 'data')`; the last one if it comes twice.
 * null if there is none, or the text is no object.
 */
export function member(text, name) {
  const reader = new Reader(text);
  let found = null;
  try {
    if (reader.next() !== '{') return null;
    reader.at += 1;
    if (reader.next() === '}') return null;
    for (;;) {
      const key = keyOf(reader);
      reader.next();
      const from = reader.at;
      skip(reader);
      if (key === name) found = text.slice(from, reader.at);
      if (reader.next() !== ',') return found;
      reader.at += 1;
    }
  } catch {
    return null;
  }
}

// Goes over one value, by brackets alone: its inside is checked by whoever shows it.
function skip(reader) {
  let depth = 0;
  do {
    const first = reader.next();
    if (first === undefined) reader.fail();
    if (first === '{' || first === '[') depth += 1;
    else if (first === '}' || first === ']') depth -= 1;
    else if (depth > 0 && (first === ',' || first === ':')) depth += 0;
    else {
      scalar(reader);
      continue;
    }
    reader.at += 1;
  } while (depth > 0);
}

// Control characters, and marks that turn text round or are invisible: shown as escapes, or a payload could show what it is not.
// eslint-disable-next-line no-control-regex
const TRICKY = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const SHORT = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' };

/** A text as a JSON string is written, readable: letters stay letters, what cannot be seen is an escape. */
export function quoted(text) {
  const inner = text.replace(/["\\]/g, '\\$&').replace(TRICKY, (mark) =>
    SHORT[mark] ?? `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return `"${inner}"`;
}

/** The nodes whose key or value has the words, in order; at most `most`. */
export function find(root, words, most = 1000) {
  const wanted = words.toLowerCase();
  const found = [];
  const stack = [root];
  while (stack.length > 0 && found.length < most) {
    const node = stack.pop();
    const inKey = node.key !== null && node.key.toLowerCase().includes(wanted);
    const inValue = node.value !== undefined && node.value.toLowerCase().includes(wanted);
    if (inKey || inValue) found.push(node);
    for (let at = (node.children?.length ?? 0) - 1; at >= 0; at -= 1) stack.push(node.children[at]);
  }
  return found;
}

/** The way to a node as JavaScript writes it: `data.items[2].name`. */
export function pathOf(node) {
  const parts = [];
  for (let one = node; one.parent; one = one.parent) {
    if (one.parent.type === 'array') parts.unshift(`[${one.parent.children.indexOf(one)}]`);
    else parts.unshift(/^[A-Za-z_$][\w$]*$/.test(one.key) ? `.${one.key}` : `[${JSON.stringify(one.key)}]`);
  }
  return parts.join('').replace(/^\./, '');
}

/** Indented by two, with the spelling of its numbers. `text` itself if it is no JSON. */
export function pretty(text) {
  let root;
  try {
    root = parse(text);
  } catch {
    return text;
  }
  const lines = [];
  write(root, 0, '', lines);
  return lines.join('\n');
}

function write(node, depth, comma, lines) {
  const pad = '  '.repeat(depth) + (node.key === null ? '' : `${JSON.stringify(node.key)}: `);
  if (!node.children) {
    lines.push(pad + (node.type === 'string' ? JSON.stringify(node.value) : node.value) + comma);
    return;
  }
  const [open, close] = node.type === 'object' ? '{}' : '[]';
  if (node.children.length === 0) {
    lines.push(pad + open + close + comma);
    return;
  }
  lines.push(pad + open);
  node.children.forEach((child, at) => write(child, depth + 1, at + 1 < node.children.length ? ',' : '', lines));
  lines.push('  '.repeat(depth) + close + comma);
}
