// The start of the console: language, session, router; then the page that the address means, within the layout.
import { html, render, useEffect, useErrorBoundary, useRef, useState } from './lib/preact.js';
import { AHEAD } from './lib/ahead.js';
import { dir, loadAreas, setLanguage, t, useLanguage, wantedLanguage } from './lib/i18n.js';
import { match, navigate, path, startRouter, useRoute } from './lib/router.js';
import { start, useSessionState } from './lib/session.js';
import { ErrorBox, Loading, startToasts } from './lib/ui.js';
import { Layout } from './lib/layout.js';
import { ROUTES } from './routes.js';

const loaded = new Map();

// A page's modules are asked for all at once: the browser would learn of each only from the one that imports it. One import per
// page and visit; one that failed (no connection) is asked for again.
function modulesOf(name) {
  if (loaded.has(name)) return loaded.get(name);
  for (const path of AHEAD[name]?.modules ?? []) {
    const link = document.createElement('link');
    link.rel = 'modulepreload';
    link.href = new URL(path, import.meta.url);
    document.head.append(link);
  }
  const page = import(`./pages/${name}.js`);
  loaded.set(name, page);
  page.catch(() => loaded.delete(name));
  return page;
}

async function pageOf(name) {
  const [page] = await Promise.all([modulesOf(name), loadAreas(AHEAD[name]?.areas ?? [])]);
  await loadAreas(page.areas ?? []);
  return page;
}

// The page to show for a route and a session: its name, or where to go instead.
function decide(route, session) {
  const { who, portal } = session;
  if (route.route?.open) return { name: route.name };
  if (who === null) return portal ? { name: 'portal' } : { go: `/sign-in?next=${encodeURIComponent(route.path + route.search)}` };
  if (route.path === '/' && who.kind !== 'operator') return { go: path('t', who.tenant) };
  if (route.route?.operator && who.kind !== 'operator') return { name: 'not-found' };
  return { name: route.name };
}

// Shows the old page until the new one is there: nothing flashes and nothing jumps.
function usePage(route, session) {
  const [state, setState] = useState({ page: null, route, error: null });
  const [attempt, setAttempt] = useState(0);
  const { name, go } = decide(route, session);
  useEffect(() => {
    if (go) {
      navigate(go, { replace: true });
      return undefined;
    }
    let wanted = true;
    pageOf(name)
      .then((page) => wanted && setState({ page, name, route, error: null }))
      .catch((error) => wanted && setState({ page: null, name, route, error }));
    return () => {
      wanted = false;
    };
  }, [name, go, route, attempt]);
  return { ...state, waiting: state.route !== route, retry: () => setAttempt(attempt + 1) };
}

function Shown({ page, route }) {
  const [error, reset] = useErrorBoundary((thrown) => console.error('page.failed', thrown));
  if (error) return html`<${ErrorBox} error=${error} onRetry=${reset} />`;
  return html`<${page.Page} params=${route.params} query=${route.query} />`;
}

// A new page is seen from its top; screen readers hear where they are, and the keyboard goes on from there.
function useArrival(route, page) {
  const before = useRef(null);
  useEffect(() => {
    if (page === null) return;
    const came = before.current;
    before.current = route.path;
    if (came === null || came === route.path) return;
    if (route.way === 'push') scrollTo(0, 0);
    document.getElementById('main')?.focus({ preventScroll: true });
  }, [route, page]);
}

function App() {
  useLanguage();
  const session = useSessionState();
  const current = useRoute();
  const { page, name, route, error, waiting, retry } = usePage(current, session);
  useArrival(route, page);
  const content = error
    ? html`<${ErrorBox} error=${error} title=${t('common.error.page')} onRetry=${retry} />`
    : page === null
      ? html`<${Loading} />`
      : html`<${Shown} key=${`${name} ${route.path}`} page=${page} route=${route} />`;
  const bare = session.who === null || route.route?.open;
  return html`<div class="root" dir=${dir()}>
    ${bare ? html`<main id="main" class="bare" tabindex="-1">${content}</main>` : html`<${Layout} route=${route} waiting=${waiting}>${content}<//>`}</div>`;
}

// No connection at the very start: says so, in what words there are.
function Failed({ error, again }) {
  return html`<main class="bare"><${ErrorBox} error=${error} onRetry=${again} /></main>`;
}

async function texts(areas) {
  await setLanguage(wantedLanguage(), { remember: false });
  await loadAreas(['common', ...areas]);
}

async function boot() {
  const root = document.getElementById('app');
  const session = start();
  // Asked for side by side: texts, who it is, and the page that it will most likely be. Errors are met where they are waited for.
  session.catch(() => {});
  const { name } = match(ROUTES, location.pathname);
  modulesOf(name).catch(() => {});
  await texts(AHEAD[name]?.areas ?? []);
  try {
    await session;
  } catch (error) {
    root.replaceChildren();
    render(html`<${Failed} error=${error} again=${() => location.reload()} />`, root);
    return;
  }
  startRouter(ROUTES);
  root.replaceChildren();
  render(html`<${App} />`, root);
  startToasts();
}

boot();
