// Filters of a list. They live in the query string: a filtered list is a link that can be sent to somebody.
import { html, useEffect, useId, useRef, useState } from '../preact.js';
import { t } from '../i18n.js';
import { useQuery } from '../router.js';
import { Icon } from '../icons.js';
import { Button, Select, TagInput, TextInput } from './form.js';

const TYPING_MS = 450;
const HOUR_S = 3600;
/* messages: common.range.* */
const RANGES = [['1h', HOUR_S], ['6h', 6 * HOUR_S], ['24h', 24 * HOUR_S], ['7d', 7 * 24 * HOUR_S], ['30d', 30 * 24 * HOUR_S]];

/** RFC 3339 -> the text of a datetime-local input, in the reader's zone. */
export function toLocalInput(at) {
  const ms = Date.parse(at ?? '');
  if (Number.isNaN(ms)) return '';
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
/** The text of a datetime-local input -> RFC 3339. */
export function fromLocalInput(text) {
  const ms = text === '' ? Number.NaN : new Date(text).getTime();
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}
/** `range=24h` of the query -> when it begins, to the minute; `since` and `until` win. For the API's query. */
export function rangeOf(query, now = Date.now()) {
  const known = RANGES.find(([name]) => name === query.range);
  if (query.since || query.until || !known) return { since: query.since ?? null, until: query.until ?? null };
  const minute = Math.floor(now / 60_000) * 60_000;
  return { since: new Date(minute - known[1] * 1000).toISOString(), until: null };
}

function Typed({ field, value, onChange }) {
  const [text, setText] = useState(value ?? '');
  const timer = useRef(null);
  useEffect(() => setText(value ?? ''), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const send = (typed) => {
    clearTimeout(timer.current);
    onChange(typed.trim());
  };
  const input = (typed) => {
    setText(typed);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => send(typed), TYPING_MS);
  };
  const list = useId();
  const suggestions = field.suggestions ?? [];
  return html`<${TextInput} mono=${field.mono ?? true} label=${field.label} placeholder=${field.placeholder ?? field.label} value=${text} onInput=${input}
      list=${suggestions.length > 0 ? list : undefined}
      onKeyDown=${(event) => event.key === 'Enter' && send(text)} onBlur=${() => text.trim() !== (value ?? '') && send(text)} />
    ${suggestions.length > 0 && html`<datalist id=${list}>${suggestions.map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>`}`;
}

function Range({ query, setQuery }) {
  const custom = Boolean(query.since || query.until);
  const [open, setOpen] = useState(custom);
  useEffect(() => {
    if (custom) setOpen(true);
  }, [custom]);
  const options = [
    { value: '', label: t('common.range.any') },
    ...RANGES.map(([name]) => ({ value: name, label: t(`common.range.${name}`) })),
    { value: 'custom', label: t('common.range.custom') },
  ];
  const choose = (value) => {
    setOpen(value === 'custom');
    if (value === 'custom') setQuery({ ...rangeOf(query), range: null });
    else setQuery({ range: value, since: null, until: null });
  };
  return html`<${Select} label=${t('common.range.label')} value=${open || custom ? 'custom' : (query.range ?? '')} options=${options} onChange=${choose} />
    ${open && html`<${TextInput} type="datetime-local" label=${t('common.range.since')} value=${toLocalInput(query.since)}
        onInput=${(text) => setQuery({ since: fromLocalInput(text), range: null })} />
      <${TextInput} type="datetime-local" label=${t('common.range.until')} value=${toLocalInput(query.until)}
        onInput=${(text) => setQuery({ until: fromLocalInput(text), range: null })} />`}`;
}

function FilterField({ field, query, setQuery }) {
  const value = query[field.key] ?? '';
  const set = (next) => setQuery({ [field.key]: next });
  switch (field.type) {
    case 'select':
      return html`<${Select} label=${field.label} value=${value} onChange=${set}
        options=${[{ value: '', label: field.placeholder ?? field.label }, ...(field.options ?? [])]} />`;
    case 'tags':
      return html`<${TagInput} label=${field.label} placeholder=${field.placeholder ?? field.label} suggestions=${field.suggestions}
        values=${value === '' ? [] : value.split(',')} onChange=${set} />`;
    case 'range':
      return html`<${Range} query=${query} setQuery=${setQuery} />`;
    default:
      return html`<${Typed} field=${field} value=${value} onChange=${set} />`;
  }
}

const keysOf = (field) => (field.type === 'range' ? ['range', 'since', 'until'] : [field.key]);

/**
 * @param {{fields: {key: string, label: string, type?: 'text'|'select'|'tags'|'range', options?: {value: string, label: string}[],
 *   suggestions?: string[], placeholder?: string, mono?: boolean, wide?: boolean}[], children?: any}} props each field is one key of the query string; `range`
 *   writes `range`, or `since` and `until`: read them with `rangeOf(query)`. A change removes `cursor`.
 */
export function FilterBar({ fields, children }) {
  const [query, set] = useQuery();
  const setQuery = (patch) => set({ cursor: null, ...patch });
  const used = fields.flatMap(keysOf).filter((key) => query[key]);
  const clear = () => setQuery(Object.fromEntries(used.map((key) => [key, null])));
  return html`<div class="filters" role="search" aria-label=${t('common.filter.label')}>
    <${Icon} name="filter" />
    ${fields.map((field) => html`<div class=${`filter filter-${field.type ?? 'text'}${field.wide ? ' filter-wide' : ''}`} key=${field.key}><${FilterField} field=${field} query=${query} setQuery=${setQuery} /></div>`)}
    ${children}
    ${used.length > 0 && html`<${Button} kind="quiet" small icon="close" onClick=${clear}>${t('common.filter.clear')}<//>`}
  </div>`;
}
