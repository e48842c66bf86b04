// A JSON Schema as a table that a person reads: fields, types, which are required, what is allowed, what they mean. Knows what
// `data` schemas use and follows references within the schema; what it does not know stays in the JSON view. Text is hostile.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';

/// Deepest level that is shown, and most rows: a schema may be built to be endless.
const MOST_LEVELS = 12;
const MOST_ROWS = 400;
/// Longest list of allowed values that is shown whole.
const MOST_VALUES = 20;

/// Limits that are shown as `name: value`.
const LIMITS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minLength', 'maxLength', 'minItems',
  'maxItems', 'minProperties', 'maxProperties', 'pattern', 'format'];

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/// What a reference within the schema leads to; `null`: nowhere.
function follow(root, reference) {
  if (typeof reference !== 'string' || !reference.startsWith('#')) return null;
  let at = root;
  for (const part of reference.slice(1).split('/').slice(1)) {
    let name = part;
    try { name = decodeURIComponent(part); } catch { return null; }
    name = name.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!(isObject(at) || Array.isArray(at)) || !Object.hasOwn(at, name)) return null;
    at = at[name];
  }
  return isObject(at) ? at : null;
}

/// A schema with its reference written in, at most a few deep.
function resolved(root, schema) {
  let found = schema;
  for (let n = 0; n < MOST_LEVELS && isObject(found) && found.$ref; n += 1) {
    const { $ref, ...own } = found;
    found = { ...follow(root, $ref), ...own };
  }
  return isObject(found) ? found : {};
}

/// The types of a schema in words: `string`, `array of object`.
function typeOf(root, schema) {
  const types = [].concat(schema.type ?? []);
  const named = types.map((type) => {
    if (type !== 'array' || !isObject(schema.items)) return type;
    const of = typeOf(root, resolved(root, schema.items));
    return of ? t('event-types.array_of', { type: of }) : type;
  });
  if (named.length > 0) return named.join(' | ');
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.properties) return 'object';
  return '';
}

/// The rows of a schema, depth first: `{path, level, type, required, text, allowed, limits, choice}`.
export function rowsOf(root) {
  const rows = [];
  const visit = (schema, level, name, isRequired, choice) => {
    if (rows.length >= MOST_ROWS || level > MOST_LEVELS) return;
    const one = resolved(root, schema);
    if (name != null) {
      rows.push({
        path: name, level, required: isRequired, choice, type: typeOf(root, one),
        text: typeof one.description === 'string' ? one.description : typeof one.title === 'string' ? one.title : '',
        allowed: Array.isArray(one.enum) ? one.enum : 'const' in one ? [one.const] : [],
        limits: LIMITS.filter((limit) => one[limit] !== undefined).map((limit) => [limit, String(one[limit])]),
        default: one.default,
      });
    }
    const inner = name == null ? level : level + 1;
    for (const [key, property] of Object.entries(isObject(one.properties) ? one.properties : {})) {
      visit(property, inner, key, Array.isArray(one.required) && one.required.includes(key), null);
    }
    if (isObject(one.items)) {
      const item = resolved(root, one.items);
      if (item.properties || item.items || item.enum || item.oneOf || item.anyOf) visit(one.items, inner, '[ ]', false, null);
    }
    if (isObject(one.additionalProperties)) visit(one.additionalProperties, inner, '*', false, null);
    for (const kind of ['oneOf', 'anyOf', 'allOf']) {
      if (!Array.isArray(one[kind])) continue;
      one[kind].forEach((part, n) => visit(part, inner, `${kind} ${n + 1}`, false, kind));
    }
  };
  visit(root, 0, null, false, null);
  return rows;
}

const shownValue = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

function Row({ row, lang }) {
  const values = row.allowed.slice(0, MOST_VALUES);
  return html`<tr>
    <th scope="row" class=${`level-${Math.min(row.level, 6)}`}><code dir="ltr">${row.path}</code>
      ${row.required && html` <span class="badge badge-required">${t('event-types.required')}</span>`}</th>
    <td><code dir="ltr">${row.type || t('event-types.any')}</code></td>
    <td>
      ${row.text && html`<p dir="auto" lang=${lang}><bdi>${row.text}</bdi></p>`}
      ${values.length > 0 && html`<p class="small">${t('event-types.one_of')} ${values.map((value) => html`
        <code dir="ltr" key=${shownValue(value)}>${shownValue(value)}</code> `)}${
          row.allowed.length > values.length ? t('event-types.more_values', { n: row.allowed.length - values.length }) : null}</p>`}
      ${row.limits.length > 0 && html`<p class="small muted" dir="ltr">${row.limits.map(([name, value]) => html`
        <code key=${name}>${name}: ${value}</code> `)}</p>`}
      ${row.default !== undefined && html`<p class="small muted">${t('event-types.default')} <code dir="ltr">${shownValue(row.default)}</code></p>`}
    </td>
  </tr>`;
}

/// `lang` is the language of its descriptions, if that is known.
export function Schema({ schema, lang }) {
  const rows = rowsOf(isObject(schema) ? schema : {});
  if (rows.length === 0) return html`<p class="muted">${t('event-types.no_fields')}</p>`;
  const isClosed = schema.additionalProperties === false;
  return html`<div class="schema-scroll" role="region" tabindex="0" aria-label=${t('event-types.fields')}>
      <table class="schema"><caption class="visually-hidden">${t('event-types.fields')}</caption>
        <thead><tr><th scope="col">${t('event-types.field')}</th><th scope="col">${t('event-types.type')}</th>
          <th scope="col">${t('event-types.meaning')}</th></tr></thead>
        <tbody>${rows.map((row, n) => html`<${Row} key=${n} row=${row} lang=${lang} />`)}</tbody></table></div>
    ${rows.length >= MOST_ROWS && html`<p class="muted">${t('event-types.schema_cut', { n: MOST_ROWS })}</p>`}
    <p class="muted small">${t(isClosed ? 'event-types.closed' : 'event-types.open')}</p>`;
}

/// A schema that an example fits: a start for one's own, to be corrected by hand. Everything seen is required.
export function schemaOf(example) {
  if (Array.isArray(example)) return { type: 'array', ...(example.length > 0 ? { items: schemaOf(example[0]) } : {}) };
  if (isObject(example)) {
    const names = Object.keys(example);
    return {
      type: 'object',
      ...(names.length > 0 ? { required: names } : {}),
      properties: Object.fromEntries(names.map((name) => [name, schemaOf(example[name])])),
    };
  }
  if (example === null) return {};
  if (typeof example === 'number') return { type: Number.isInteger(example) ? 'integer' : 'number' };
  if (typeof example === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(example)) return { type: 'string', format: 'date-time' };
  return { type: typeof example };
}
