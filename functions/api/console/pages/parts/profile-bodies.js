// The body of a delivery as its profile builds it (shared/domain/src/profile): from the API's own answer, so that `data` is
// spelled as it was posted. Pure.
import { member, parse } from '../../lib/json/parse.js';
import { UTEL, VOICEHUB, VOICEHUB_STATUSES } from './profile-names.js';

/** By code points, as the server sorts names; an object of JavaScript puts those that look like numbers first. */
function byCodePoint([a], [b]) {
  const left = [...a];
  const right = [...b];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const gap = left[at].codePointAt(0) - right[at].codePointAt(0);
    if (gap !== 0) return gap;
  }
  return left.length - right.length;
}

const json = (value) => JSON.stringify(value);
const sorted = (names) => Object.entries(names).sort(byCodePoint);
/** An object of members that are JSON already; one that is null is left out. */
const object = (members) =>
  `{${members.filter(([, raw]) => raw != null).map(([name, raw]) => `${json(name)}:${raw}`).join(',')}}`;
const textual = (names) => object(sorted(names).map(([name, value]) => [name, json(value)]));
const text = (value) => (typeof value === 'string' ? value : null);

function standard({ tenant, event, eventText, origin, payload }) {
  const own = `${origin}/v1/tenants/${tenant}/events/${event.id}`;
  return object([
    ['type', json(event.type)],
    ['timestamp', json(event.occurred_at)],
    ['id', json(event.id)],
    ['tenant', json(tenant)],
    ['agent', event.agent == null ? null : json(event.agent)],
    ['data', payload === 'thin' ? null : member(eventText, 'data')],
    ['related', Object.keys(event.related).length === 0 ? null : textual(event.related)],
    ['links', textual({ ...event.links, event: own })],
  ]);
}

/** The tenant's URL template with its places filled in; null if it has a place for an id that the event does not have. */
function filledIn(template, ids) {
  let whole = template;
  for (const [place, id] of Object.entries(ids)) {
    if (!whole.includes(place)) continue;
    if (id == null) return null;
    const escaped = encodeURIComponent(id).replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
    whole = whole.replaceAll(place, () => escaped);
  }
  return whole;
}

function voicehub({ event, analysisUrl }) {
  const row = VOICEHUB[event.type];
  const name = row?.name ?? event.type;
  const data = event.data !== null && typeof event.data === 'object' && !Array.isArray(event.data) ? event.data : {};
  const call = event.related.call_id ?? text(data.call_id);
  const analysis = text(data.analysis_id) ?? event.related.analysis_id ?? null;
  const isAnalysis = name === 'AnalysisResultReady';
  const known = VOICEHUB_STATUSES.includes(data.status) ? data.status : row?.status ?? null;
  const ids = { '{call_id}': call, '{analysis_id}': analysis, '{event_id}': event.id };
  const link = event.links.analysis ?? (analysisUrl ? filledIn(analysisUrl, ids) : null);
  const given = (value) => (value == null ? null : json(value));
  return object([
    ['eventType', json(name)],
    ['analysisId', isAnalysis ? given(analysis) : null],
    ['timestamp', json(event.occurred_at)],
    ['eventId', json(event.id)],
    ['status', name === 'CallStatusChanged' ? given(known) : null],
    ['callId', given(call)],
    ['analysisResultUrl', isAnalysis ? given(link) : null],
  ]);
}

function utel({ event, eventText, payload }) {
  const raw = member(eventText, 'data') ?? 'null';
  const root = parse(raw);
  const posted = root.type === 'object'
    ? root.children.map(({ key }) => [key, member(raw, key)])
    : [['value', raw]];
  const row = UTEL[event.type];
  const kind = root.children?.find(({ key, type }) => key === 'kind' && type === 'string')?.value;
  const name = row?.by_kind && Object.hasOwn(row.by_kind, kind) ? row.by_kind[kind] : row?.name ?? event.type;
  const members = payload === 'thin' ? sorted(event.related).map(([key, value]) => [key, json(value)]) : posted;
  const data = object([['event', json(name)], ...members.filter(([key]) => key !== 'event')]);
  return object([['time', json(event.occurred_at)], ['data', data]]);
}

const BODIES = { standard, voicehub, utel };

/**
 * The body as it is sent. `eventText`: the API's answer of `event`; `origin`: of the API; `payload`: full or thin; `analysisUrl`:
 * the tenant's template, or null.
 */
export const bodyOf = (profile, parts) => BODIES[profile](parts);
