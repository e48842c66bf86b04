// Asking the API from a component: one answer, or a list by pages. What was there stays visible while it is asked again.
import { html, useCallback, useEffect, useRef, useState } from '../preact.js';
import { api } from '../api.js';
import { ErrorBox, Loading } from './feedback.js';

/**
 * @template T
 * @param {(options: {signal: AbortSignal}) => Promise<T>} fn
 * @param {any[]} deps asked anew when one changes; the older request is given up
 * @returns {{data: T|null, error: Error|null, loading: boolean, reload: () => Promise<void>, setData: (data: T) => void}}
 */
export function useAsync(fn, deps = []) {
  const [state, setState] = useState({ data: null, error: null, loading: true });
  const running = useRef(null);
  const latest = useRef(fn);
  latest.current = fn;
  const run = useCallback(async () => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((old) => ({ ...old, loading: true }));
    try {
      const data = await latest.current({ signal: controller.signal });
      if (running.current === controller) setState({ data, error: null, loading: false });
    } catch (error) {
      // Given up by us: whoever did so shows what comes next.
      if (running.current === controller && !controller.signal.aborted) setState((old) => ({ ...old, error, loading: false }));
    }
  }, []);
  useEffect(() => {
    run();
    return () => {
      running.current?.abort();
      running.current = null;
    };
  }, deps);
  const setData = useCallback((data) => setState((old) => ({ ...old, data: typeof data === 'function' ? data(old.data) : data })), []);
  return { ...state, reload: run, setData };
}

/**
 * A list by pages, for Table and Pager.
 * @param {string} path as `/v1/tenants/acme/events`; null asks nothing
 * @param {object} [query] filters and `limit`
 * @param {any[]} [deps] besides path and query
 * @returns {{items: object[], next: string|null, loading: boolean, loadingMore: boolean, error: Error|null,
 *   more: () => Promise<void>, reload: () => Promise<void>, setItems: (change: (items: object[]) => object[]) => void, page: object|null}}
 *   `page` is the first page's whole answer
 */
export function usePages(path, query = {}, deps = []) {
  const first = useAsync(
    async ({ signal }) => (path === null ? { items: [], next: null } : api('GET', path, { query, signal })),
    [path, JSON.stringify(query), ...deps],
  );
  const [later, setLater] = useState({ of: null, items: [], next: null, loading: false, error: null });
  // Later pages belong to one first page: a new first page forgets them.
  const mine = later.of === first.data ? later : null;
  const next = mine ? mine.next : (first.data?.next ?? null);
  const more = async () => {
    const of = first.data;
    const known = mine?.items ?? [];
    if (!next || mine?.loading) return;
    setLater({ of, items: known, next, loading: true, error: null });
    try {
      const page = await api('GET', path, { query: { ...query, cursor: next } });
      setLater({ of, items: [...known, ...page.items], next: page.next, loading: false, error: null });
    } catch (error) {
      setLater({ of, items: known, next, loading: false, error });
    }
  };
  const items = [...(first.data?.items ?? []), ...(mine?.items ?? [])];
  const setItems = (change) => {
    const changed = { ...first.data, items: change(items), next };
    first.setData(changed);
  };
  return {
    items,
    next,
    loading: first.loading,
    loadingMore: mine?.loading ?? false,
    error: first.error ?? mine?.error ?? null,
    more,
    reload: first.reload,
    setItems,
    page: first.data,
  };
}

/**
 * A part of a page whose module is asked for when it is first shown, as what lies behind a tab: its component.
 * @param {() => Promise<object>} load imports the module
 * @param {string} name of the component that the module exports
 * @param {{quiet?: boolean}} [options] `quiet`: nothing is shown until it is there, as for a dialog
 */
export function later(load, name, { quiet = false } = {}) {
  let module = null;
  return function Later(props) {
    const { error, reload } = useAsync(async () => {
      module ??= await load();
    }, []);
    if (module !== null) return html`<${module[name]} ...${props} />`;
    if (error) return html`<${ErrorBox} error=${error} onRetry=${reload} />`;
    return quiet ? null : html`<${Loading} kind="card" />`;
  };
}
