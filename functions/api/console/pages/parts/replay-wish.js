// What a new replay may be asked for: the fields of each kind, the body that `POST .../replays` wants, and the link that fills
// the form in. Pure: neither calls nor shows anything.
import { filled } from './texts.js';

const NARROW = ['since', 'until', 'event_types', 'agents'];
const CHOOSE = ['state', 'reason'];

/// The kinds, each with the fields that it takes, as in `NewReplay` of the API: others are refused there.
export const SOURCES = {
  event: { fields: ['event', 'to', 'rate'], required: ['event'] },
  delivery: { fields: ['delivery', 'to', 'rate'], required: ['delivery'] },
  call: { fields: ['call_id', 'endpoint', ...NARROW, ...CHOOSE, 'to', 'rate'], required: ['call_id'] },
  endpoint: { fields: ['endpoint', ...NARROW, ...CHOOSE, 'to', 'rate'], required: ['endpoint', 'since'] },
  missing: { fields: ['endpoint', ...NARROW, 'to', 'rate'], required: ['endpoint', 'since'] },
  tenant: { fields: ['endpoints', ...NARROW, ...CHOOSE, 'rate'], required: ['since'] },
};

/// States that can be delivered again.
export const STATES = ['dead', 'succeeded', 'canceled', 'held'];
/// Fastest that can be asked for, deliveries a second.
export const MOST_RATE = 500;

const LISTS = new Set(['event_types', 'agents', 'endpoints']);
/// Every field that the query string may hold.
const ALL = [...new Set(Object.values(SOURCES).flatMap(({ fields }) => fields))];

/// The form's values out of the query string: texts, and lists of texts.
export const fromQuery = (query) => Object.fromEntries(ALL.map((name) => [name,
  LISTS.has(name) ? (query[name] ?? '').split(',').filter(Boolean) : query[name] ?? '']));

/// The values as the query string keeps them; `null` takes one away.
export const toQuery = (source, form) => Object.fromEntries(ALL.map((name) => {
  const value = SOURCES[source].fields.includes(name) ? form[name] : null;
  const text = Array.isArray(value) ? value.join(',') : value;
  return [name, text || null];
}));

/// The required fields that are empty, and those that cannot be right: `{field: message key}`.
export function faults(source, form) {
  const { fields, required } = SOURCES[source];
  const found = {};
  for (const name of required) if (!form[name] || form[name].length === 0) found[name] = 'required';
  if (fields.includes('rate') && form.rate) {
    const rate = Number(form.rate);
    if (!Number.isInteger(rate) || rate < 1 || rate > MOST_RATE) found.rate = 'rate';
  }
  if (fields.includes('until') && form.since && form.until && form.since >= form.until) found.until = 'range';
  return found;
}

/// The body of `POST .../replays`.
export function bodyOf(source, form) {
  const body = filled(Object.fromEntries(SOURCES[source].fields.map((name) =>
    [name, typeof form[name] === 'string' ? form[name].trim() : form[name]])));
  if (body.rate) body.rate = Number(body.rate);
  if (source === 'missing') body.missing = true;
  return body;
}

/// The kind that a job was asked for.
function sourceOf(what) {
  if (what.missing) return 'missing';
  if (what.event) return 'event';
  if (what.delivery) return 'delivery';
  if (what.call_id) return 'call';
  return what.endpoint ? 'endpoint' : 'tenant';
}

/// A link to the form, filled in as a job was asked for.
export function linkOf(tenant, { what, rate }) {
  const source = sourceOf(what);
  // Before 1970 nothing was accepted: a job says so that was not narrowed by a first moment.
  const since = what.since?.startsWith('1970-') && source === 'call' ? null : what.since;
  const asked = filled(toQuery(source, { ...fromQuery({}), ...what, since, rate: rate == null ? '' : String(rate) }));
  return `/console/t/${tenant}/replays?${new URLSearchParams({ new: source, ...asked })}`;
}
