// Which page an address means, and moving between them without reloading. Addresses in code are without /console. Pure parts
// (compile, match, path, withBase, safeHref) need no browser.
import { html, useCallback } from './preact.js';
import { store, useStore } from './store.js';

export const BASE = '/console';

/** `path('t', tenant, 'events', id)` -> `/t/acme/events/evt%3A1`: every segment encoded. */
export const path = (...segments) => '/' + segments.map((segment) => encodeURIComponent(String(segment))).join('/');

/** `/t/acme` -> `/console/t/acme`; with the base already, as it is. */
export function withBase(to) {
  if (to === BASE || to.startsWith(`${BASE}/`) || to.startsWith(`${BASE}?`)) return to;
  return BASE + (to.startsWith('/') ? to : `/${to}`);
}
/** For a plain href attribute. */
export const href = withBase;

/** '/t/:tenant/events' -> a function of a path: its decoded parameters, or null. */
export function compile(pattern) {
  const wanted = pattern.split('/').filter((part) => part !== '');
  return (pathname) => {
    const parts = pathname.split('/').filter((part) => part !== '');
    if (parts.length !== wanted.length) return null;
    const params = {};
    for (const [at, part] of parts.entries()) {
      const name = wanted[at];
      try {
        if (name.startsWith(':')) params[name.slice(1)] = decodeURIComponent(part);
        else if (name !== part) return null;
      } catch {
        return null; // not decodable: no page of ours
      }
    }
    return params;
  };
}

/**
 * The first route that fits. A pattern without parameters stands before its siblings with one.
 * @param {{name: string, pattern: string}[]} routes
 * @param {string} pathname with or without /console
 */
export function match(routes, pathname) {
  const inside = pathname === BASE ? '/' : pathname.startsWith(`${BASE}/`) ? pathname.slice(BASE.length) : pathname;
  for (const route of routes) {
    const params = compile(route.pattern)(inside);
    if (params !== null) return { name: route.name, route, params, path: inside };
  }
  return { name: 'not-found', route: null, params: {}, path: inside };
}

/** An address that may be shown as a link: http or https, absolute; else null. */
export function safeHref(text) {
  if (typeof text !== 'string' || !/^https?:\/\//i.test(text)) return null;
  try {
    const url = new URL(text);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}

/** '?a=1&b=' -> {a: '1'}: what is empty is absent. The first of a name counts. */
export function parseQuery(search) {
  const query = {};
  for (const [key, value] of new URLSearchParams(search)) {
    if (value !== '' && !Object.hasOwn(query, key)) query[key] = value;
  }
  return query;
}

/** A search string with some keys changed; null, '' and [] remove one. */
export function patchSearch(search, patch) {
  const pairs = new URLSearchParams(search);
  for (const [key, value] of Object.entries(patch)) {
    const text = Array.isArray(value) ? value.join(',') : value;
    if (text === null || text === undefined || text === '') pairs.delete(key);
    else pairs.set(key, String(text));
  }
  const text = pairs.toString();
  return text === '' ? '' : `?${text}`;
}

let table = [];
const here = store(null);
/** Asked before leaving: a page with unsaved input may keep the reader. */
let guard = null;

// `way`: 'push', 'replace' or 'pop' (back, forward, the first): whether a new page begins at its top.
function read(way) {
  const found = match(table, location.pathname);
  here.set({ ...found, query: parseQuery(location.search), search: location.search, way });
}

/** Begins to listen; once. */
export function startRouter(routes) {
  table = routes;
  history.scrollRestoration = 'auto';
  addEventListener('popstate', () => read('pop'));
  read('pop');
}

/** While `ask` is set, moving away asks it first: it returns false to stay. `null` removes it. */
export function setGuard(ask) {
  guard = ask;
}

/** Goes to an address of the console. */
export function navigate(to, { replace = false } = {}) {
  const target = new URL(withBase(to), location.href);
  if (target.pathname !== location.pathname && guard !== null && !guard()) return;
  if (replace) history.replaceState(null, '', target);
  else history.pushState(null, '', target);
  read(replace ? 'replace' : 'push');
}

/** @returns {{name: string, path: string, params: Record<string, string>, query: Record<string, string>, route: object|null}} */
export const useRoute = () => useStore(here);

/** The query string as the page's state: `[query, setQuery]`; `setQuery({type: 'call.*', cursor: null})`. */
export function useQuery() {
  const { query } = useStore(here);
  const setQuery = useCallback((patch, { replace = true } = {}) => {
    const search = patchSearch(location.search, patch);
    if (search !== location.search) navigate(location.pathname + search, { replace });
  }, []);
  return [query, setQuery];
}

const plainClick = (event) =>
  event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey && !event.defaultPrevented;

/** A link within the console: a real one, so that it can be opened in a new tab. */
export function Link({ href: to, children, onClick, ...rest }) {
  const go = (event) => {
    onClick?.(event);
    if (!plainClick(event) || rest.target) return;
    event.preventDefault();
    navigate(to);
  };
  return html`<a href=${withBase(to)} onClick=${go} ...${rest}>${children}</a>`;
}
