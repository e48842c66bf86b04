// The payload inspector: folds, searches, copies, shows the raw text. The text is hostile: it is only ever shown as text. Only what
// is unfolded is rendered, a hundred members at a time, so that a large payload costs no more than what is looked at.
import { html, useEffect, useMemo, useRef, useState } from './preact.js';
import { t } from './i18n.js';
import { Icon } from './icons.js';
import { Button, TextInput } from './ui/form.js';
import { Copy } from './ui/text.js';
import { find, parse, pathOf, pretty, quoted } from './json/parse.js';

export { find, member, parse, pathOf, pretty, quoted } from './json/parse.js';

const OPEN_DEPTH = 3;
const OPEN_MEMBERS = 40;
const STEP = 100;
const RAW_SHOWN = 200_000;
const LONG_STRING = 2_000;

const opensBySelf = (node, depth) => depth < OPEN_DEPTH && node.children.length <= OPEN_MEMBERS;

// Its brackets and spelling, with nothing else: for copying a part.
const textOf = (node) => {
  if (!node.children) return node.type === 'string' ? node.value : node.value;
  const copied = { ...node, key: null };
  return pretty(rawOf(copied));
};
function rawOf(node) {
  if (!node.children) return node.type === 'string' ? JSON.stringify(node.value) : node.value;
  const inner = node.children.map((child) => (node.type === 'object' ? `${JSON.stringify(child.key)}:${rawOf(child)}` : rawOf(child)));
  return node.type === 'object' ? `{${inner.join(',')}}` : `[${inner.join(',')}]`;
}

function marked(text, words) {
  if (!words) return text;
  const at = text.toLowerCase().indexOf(words.toLowerCase());
  if (at < 0) return text;
  return html`${text.slice(0, at)}<mark>${text.slice(at, at + words.length)}</mark>${text.slice(at + words.length)}`;
}

function Value({ node, words }) {
  const [whole, setWhole] = useState(false);
  if (node.type !== 'string') return html`<span class=${`json-${node.type}`}>${marked(node.value, words)}</span>`;
  const cut = !whole && node.value.length > LONG_STRING;
  const text = quoted(cut ? node.value.slice(0, LONG_STRING) : node.value);
  return html`<bdi class="json-string" dir="auto">${marked(text, words)}</bdi>${cut && html` <${Button} kind="quiet" small
    onClick=${() => setWhole(true)}>${t('common.json.whole', { n: node.value.length })}<//>`}`;
}

function Branch({ node, depth, label, view }) {
  const open = view.open.get(node.id) ?? opensBySelf(node, depth);
  const [most, setMost] = useState(STEP);
  const [from, to] = node.type === 'object' ? '{}' : '[]';
  // A hit of the search beyond the members that are shown brings them up.
  const wanted = view.hitPath.get(node.id) ?? 0;
  const limit = Math.max(most, Math.ceil((wanted + 1) / STEP) * STEP);
  const rest = node.children.length - limit;
  const count = t(node.type === 'object' ? 'common.json.members' : 'common.json.items', { n: node.children.length });
  if (node.children.length === 0) return html`<div class="json-line">${label}<span class="json-sign">${from}${to}</span></div>`;
  return html`<div class="json-branch">
    <div class="json-line"><button type="button" class="json-fold" aria-expanded=${open ? 'true' : 'false'}
        onClick=${(event) => view.toggle(node, !open, event.altKey)}><${Icon} name="down" />${label}<span class="json-sign">${from}</span>
        ${!open && html`<span class="json-count">${count}</span><span class="json-sign">${to}</span>`}</button>
      <${Copy} text=${() => textOf(node)} label=${t('common.json.copy_path', { path: pathOf(node) || '$' })} /></div>
    ${open && html`<div class="json-children">${node.children.slice(0, limit).map((child, at) => html`<${Item} key=${child.id} node=${child}
      at=${at} depth=${depth + 1} view=${view} />`)}
      ${rest > 0 && html`<${Button} kind="quiet" small onClick=${() => setMost(limit + STEP)}>${t('common.json.more', { n: rest })}<//>`}</div>
      <div class="json-line json-sign json-close">${to}</div>`}
  </div>`;
}

function Item({ node, at, depth, view }) {
  const hit = view.hit?.id === node.id;
  const key = node.key === null
    ? html`<span class="json-index">${at}</span>`
    : html`<bdi class="json-key" dir="auto">${marked(quoted(node.key), view.words)}</bdi>`;
  const label = at === null ? null : html`${key}<span class="json-sign">: </span>`;
  const ref = hit ? view.hitRef : undefined;
  if (node.children) return html`<div ref=${ref} class=${hit ? 'json-hit' : undefined}><${Branch} node=${node} depth=${depth} label=${label} view=${view} /></div>`;
  return html`<div ref=${ref} class=${`json-line json-leaf${hit ? ' json-hit' : ''}`}><span class="json-pair">${label}<${Value} node=${node} words=${view.words} /></span>
    <${Copy} text=${() => textOf(node)} label=${t('common.json.copy_path', { path: pathOf(node) || '$' })} /></div>`;
}

function Raw({ text }) {
  const [whole, setWhole] = useState(false);
  const cut = !whole && text.length > RAW_SHOWN;
  return html`<pre class="json-raw" dir="ltr" tabindex="0" role="group" aria-label=${t('common.json.raw')}>${cut ? text.slice(0, RAW_SHOWN) : text}</pre>
    ${cut && html`<${Button} small onClick=${() => setWhole(true)}>${t('common.json.whole', { n: text.length })}<//>`}`;
}

// Unfolds the way to a node, and says which member of each parent it goes through.
function wayTo(node) {
  const open = new Map();
  const members = new Map();
  for (let one = node; one?.parent; one = one.parent) {
    open.set(one.parent.id, true);
    members.set(one.parent.id, one.parent.children.indexOf(one));
  }
  return { open, members };
}

function useTree(root) {
  const [open, setOpen] = useState(new Map());
  const [words, setWords] = useState('');
  const [at, setAt] = useState(0);
  const hits = useMemo(() => (root && words !== '' ? find(root, words) : []), [root, words]);
  const hit = hits.length > 0 ? hits[at % hits.length] : null;
  const way = useMemo(() => wayTo(hit), [hit]);
  const hitRef = useRef(null);
  useEffect(() => {
    if (hit) hitRef.current?.scrollIntoView({ block: 'nearest' });
  }, [hit]);
  const toggle = (node, to, deep) => {
    const changed = new Map(open);
    const stack = [node];
    while (stack.length > 0) {
      const one = stack.pop();
      if (!one.children) continue;
      changed.set(one.id, to);
      if (deep) stack.push(...one.children);
    }
    setOpen(changed);
  };
  const search = (typed) => {
    setWords(typed);
    setAt(0);
  };
  const step = (by) => setAt((now) => (hits.length === 0 ? 0 : (now + by + hits.length) % hits.length));
  const view = { open: hit ? new Map([...open, ...way.open]) : open, words, hit, hitPath: way.members, hitRef, toggle };
  return { view, words, search, hits, at, step, foldAll: (to) => root && toggle(root, to, true) };
}

function Search({ tree }) {
  const keys = (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    tree.step(event.shiftKey ? -1 : 1);
  };
  return html`<div class="json-search"><${TextInput} type="search" label=${t('common.json.search')} placeholder=${t('common.json.search')}
      value=${tree.words} onInput=${tree.search} onKeyDown=${keys} />
    <span class="small muted num" role="status">${tree.words !== '' && (tree.hits.length === 0 ? t('common.json.no_hit')
      : t('common.json.hit', { at: (tree.at % tree.hits.length) + 1, of: tree.hits.length }))}</span></div>`;
}

/**
 * @param {{text?: string, value?: any, label?: string, small?: boolean}} props the raw text, as it came; or a value. What is no JSON shows raw.
 */
export function Json({ text, value, label, small = false }) {
  const source = text ?? (value === undefined ? '' : JSON.stringify(value, null, 2));
  const root = useMemo(() => {
    try {
      return parse(source);
    } catch {
      return null;
    }
  }, [source]);
  const [raw, setRaw] = useState(false);
  const tree = useTree(root);
  if (source === '') return html`<p class="muted">${t('common.json.empty')}</p>`;
  const asRaw = raw || root === null;
  return html`<div class=${`json${small ? ' json-small' : ''}`} role="group" aria-label=${label ?? t('common.json.label')}>
    <div class="json-tools">
      ${!asRaw && !small && html`<${Search} tree=${tree} />`}
      <div class="json-buttons">
        ${root?.children && !asRaw && !small && html`<${Button} kind="quiet" small onClick=${() => tree.foldAll(false)}>${t('common.json.fold')}<//>
          <${Button} kind="quiet" small onClick=${() => tree.foldAll(true)}>${t('common.json.unfold')}<//>`}
        ${root !== null && html`<${Button} kind="quiet" small aria-pressed=${raw ? 'true' : 'false'} onClick=${() => setRaw(!raw)}>${t('common.json.raw')}<//>`}
        <${Copy} text=${source} label=${t('common.json.copy')} />
      </div>
    </div>
    ${asRaw ? html`<${Raw} text=${source} />`
      : html`<div class="json-tree" dir="ltr" tabindex="0" role="group" aria-label=${label ?? t('common.json.label')}><${Item} node=${root} at=${null} depth=${0} view=${tree.view} /></div>`}
  </div>`;
}
