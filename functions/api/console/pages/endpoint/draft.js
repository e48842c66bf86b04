// What a form about an endpoint holds while somebody edits it, and the API's bodies that come of it. Pure: no requests, no
// rendering. A number that is none is sent as it was typed, so that the API names the field; nothing is guessed here.

import { numberOrText } from './blame.js';

export { blame, numberOrText } from './blame.js';

/** The steps of the wizard in which a field of the API is edited. */
const STEP_OF_FIELD = {
  url: 'target',
  description: 'target',
  metadata: 'target',
  event_types: 'events',
  agents: 'events',
  exclude_agents: 'events',
  auth: 'security',
  headers: 'security',
  secret: 'security',
  profile: 'delivery',
  payload: 'delivery',
  timeout_ms: 'delivery',
  retry: 'delivery',
  rate_limit: 'delivery',
  dead_letter: 'delivery',
};

/** The step that shows the field which an error blames; `null`: none does. */
export function stepOf(error) {
  const field = error?.field?.split('.')[0];
  return STEP_OF_FIELD[field] ?? null;
}

const NEW_AUTH = { header: '', value: '', username: '', password: '', token: '' };
const NEW_RETRY = { kind: 'default', attempts: '', delays: '', baseS: '', factor: '', delayMs: '' };

/**
 * The field that keeps a draft from being sent, or `null`. Somebody who wants chosen types and has chosen none must not get all of
 * them: to the API an empty list is all.
 */
export const faultOf = (draft) => (draft.isChoosing && draft.eventTypes.length === 0 ? 'event_types' : null);

/** What a new endpoint is, before anybody said anything. */
export function newDraft() {
  return {
    url: '',
    description: '',
    labels: [],
    isChoosing: false,
    eventTypes: [],
    agents: [],
    excludeAgents: [],
    authKind: 'none',
    auth: { ...NEW_AUTH },
    headers: [],
    secretKind: 'minted',
    secret: '',
    profile: 'standard',
    payload: 'full',
    timeoutMs: '10000',
    retry: { ...NEW_RETRY },
    rateLimit: '',
    keepDead: true,
    deadDays: '',
  };
}

/** What an endpoint is, as the API shows it: secret parts are not shown, so authentication is kept unless it is set anew. */
export function draftOf(view) {
  return {
    ...newDraft(),
    url: view.url,
    description: view.description,
    labels: Object.entries(view.metadata).map(([name, value]) => ({ name, value })),
    isChoosing: view.event_types.length > 0,
    eventTypes: view.event_types,
    agents: view.agents,
    excludeAgents: view.exclude_agents,
    authKind: view.auth ? 'keep' : 'none',
    headers: view.header_names.map((name) => ({ name, value: '', known: true })),
    profile: view.profile,
    payload: view.payload,
    timeoutMs: String(view.timeout_ms),
    retry: retryOf(view.retry),
    rateLimit: view.rate_limit === null ? '' : String(view.rate_limit),
    keepDead: view.dead_letter.keep !== false,
    deadDays: view.dead_letter.days ? String(view.dead_letter.days) : '',
  };
}

function retryOf(policy) {
  const text = (value) => (value === undefined || value === null ? '' : String(value));
  const retry = { ...NEW_RETRY, attempts: text(policy.attempts) };
  if (policy.delays) return { ...retry, kind: 'list', delays: policy.delays.join(', ') };
  if (policy.base_s) return { ...retry, kind: 'growing', baseS: text(policy.base_s), factor: text(policy.factor) };
  if (policy.delay_ms) return { ...retry, kind: 'fixed', delayMs: text(policy.delay_ms) };
  return retry;
}

/** The policy as the API takes it; `null`: the default of this deployment. */
export function retryBody({ kind, attempts, delays, baseS, factor, delayMs }) {
  const made = { attempts: numberOrText(attempts) };
  switch (kind) {
    case 'list': {
      const texts = delays.split(/[\s,;،؛]+/).filter(Boolean);
      return { ...made, delays: texts.map(numberOrText) };
    }
    case 'growing':
      return { ...made, base_s: numberOrText(baseS) ?? '', factor: numberOrText(factor) };
    case 'fixed':
      return { ...made, delay_ms: numberOrText(delayMs) ?? '' };
    default:
      return null;
  }
}

function authBody({ authKind, auth }) {
  switch (authKind) {
    case 'api_key':
      return { type: 'api_key', header: auth.header.trim(), value: auth.value };
    case 'basic':
      return { type: 'basic', username: auth.username, password: auth.password };
    case 'bearer':
      return { type: 'bearer', token: auth.token.trim() };
    default:
      return null;
  }
}

const pairs = (rows) => Object.fromEntries(rows.filter((row) => row.name.trim() !== '').map((row) => [row.name.trim(), row.value]));

/** The fields that are set as they are: all but authentication, headers and the secret. */
function plainFields(draft) {
  return {
    url: draft.url.trim(),
    description: draft.description,
    metadata: pairs(draft.labels),
    event_types: draft.eventTypes,
    agents: draft.agents,
    exclude_agents: draft.excludeAgents,
    profile: draft.profile,
    payload: draft.payload,
    timeout_ms: numberOrText(draft.timeoutMs),
    retry: retryBody(draft.retry),
    rate_limit: numberOrText(draft.rateLimit),
    dead_letter: { keep: draft.keepDead, days: numberOrText(draft.deadDays) },
  };
}

/** The body of `POST .../endpoints`. The endpoint is made inactive: it gets nothing until its receiver was tried. */
export function creationOf(draft) {
  const body = { ...plainFields(draft), headers: pairs(draft.headers), active: false };
  const auth = authBody(draft);
  if (auth) body.auth = auth;
  if (draft.secretKind === 'own') body.secret = draft.secret;
  for (const [name, value] of Object.entries(body)) {
    if (value === null) delete body[name];
  }
  return body;
}

/** The merge patch that makes of one draft another; without members, if nothing was changed. */
export function patchOf(before, after) {
  const [old, wanted] = [plainFields(before), plainFields(after)];
  const patch = {};
  for (const [name, value] of Object.entries(wanted)) {
    if (JSON.stringify(value) !== JSON.stringify(old[name])) patch[name] = value;
  }
  if (patch.metadata) patch.metadata = withRemoved(old.metadata, patch.metadata);
  if (after.authKind !== before.authKind || (after.authKind !== 'keep' && after.authKind !== 'none')) {
    patch.auth = authBody(after);
  }
  const headers = headersPatch(before.headers, after.headers);
  if (Object.keys(headers).length > 0) patch.headers = headers;
  return patch;
}

/** What is no longer there is `null` in a merge patch. */
function withRemoved(old, wanted) {
  const removed = Object.keys(old).filter((name) => !(name in wanted));
  return { ...Object.fromEntries(removed.map((name) => [name, null])), ...wanted };
}

/** A known header without a new value stays as it is: nobody but the receiver needs to see its value. */
function headersPatch(before, after) {
  const kept = new Set(after.filter((row) => row.known).map((row) => row.name));
  const removed = before.filter((row) => row.known && !kept.has(row.name)).map((row) => [row.name, null]);
  const set = after.filter((row) => row.name.trim() !== '' && (!row.known || row.value !== ''));
  return { ...Object.fromEntries(removed), ...pairs(set) };
}

/** True if an endpoint with these types wants this one. `call.*` is all below `call`; none are all. */
export function wantsType(eventTypes, name) {
  if (eventTypes.length === 0) return true;
  return eventTypes.some((pattern) => (pattern.endsWith('.*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name));
}

/** Seconds after each failed attempt, as a policy of the API says; at most `attempts - 1` of them. */
export function delaysOf(policy) {
  const waits = Math.max(0, (policy.attempts ?? (policy.delays ? policy.delays.length + 1 : 9)) - 1);
  const nth = (n) => {
    if (policy.delays) return policy.delays[Math.min(n, policy.delays.length - 1)];
    if (policy.base_s) return Math.min(policy.base_s * (policy.factor ?? 2) ** n, MAX_DELAY_S);
    return Math.ceil((policy.delay_ms ?? 0) / 1000);
  };
  return Array.from({ length: waits }, (_, n) => nth(n));
}

/** Longest wait between two attempts, in seconds: docs/LIMITS.md. */
const MAX_DELAY_S = 41400;
