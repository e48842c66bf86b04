// Asking again and again, only while somebody looks, and slower when the server says so.
import { useEffect, useRef, useState } from './preact.js';
import { api } from './api.js';
import { useAsync } from './ui/async.js';

const MAX_WAIT_MS = 60_000;
const TAIL_KEPT = 500;

/** How long to wait after some failures in a row: doubled each time, at most a minute, and at least what the server asked for. */
export function waitAfter(ms, failures, error) {
  const asked = (error?.retryAfter ?? 0) * 1000;
  return Math.min(MAX_WAIT_MS, Math.max(asked, ms * 2 ** Math.min(failures, 6)));
}

// Calls `fn` every `ms` after its last end; waits while the page is hidden, and catches up when it is seen again.
function every(fn, ms) {
  let timer = null;
  let failures = 0;
  let stopped = false;
  let due = false;
  const turn = async () => {
    timer = null;
    if (document.hidden) {
      due = true;
      return;
    }
    due = false;
    const error = await fn();
    failures = error ? failures + 1 : 0;
    if (!stopped) timer = setTimeout(turn, waitAfter(ms, failures, error));
  };
  const seen = () => {
    if (!document.hidden && due && timer === null) turn();
  };
  document.addEventListener('visibilitychange', seen);
  timer = setTimeout(turn, ms);
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}

/**
 * As `useAsync`, and again every `ms`; `ms` null or 0 stops (a job that is over).
 * @param {(options: {signal: AbortSignal}) => Promise<any>} fn
 * @param {number|null} ms
 * @param {any[]} deps
 */
export function usePoll(fn, ms, deps = []) {
  const asked = useAsync(fn, deps);
  const latest = useRef(fn);
  latest.current = fn;
  const { setData } = asked;
  const [error, setError] = useState(null);
  useEffect(() => {
    setError(null);
    if (!ms) return undefined;
    const controller = new AbortController();
    const stop = every(async () => {
      try {
        const data = await latest.current({ signal: controller.signal });
        if (!controller.signal.aborted) {
          setData(data);
          setError(null);
        }
        return null;
      } catch (failed) {
        if (!controller.signal.aborted) setError(failed);
        return failed;
      }
    }, ms);
    return () => {
      controller.abort();
      stop();
    };
  }, [ms, ...deps]);
  return { ...asked, error: asked.error ?? error };
}

/**
 * The live tail of a list that is newest first: what comes is put before what is there.
 * @param {string} path
 * @param {object} query filters
 * @param {{on?: boolean, ms?: number, limit?: number}} [options]
 * @returns {{items: object[], fresh: Set<string>, loading: boolean, error: Error|null, missed: boolean}} `fresh`: the ids of the last
 *   arrival; `missed`: more came at once than one page holds
 */
export function useTail(path, query = {}, { on = true, ms = 2000, limit = 50 } = {}) {
  const asked = JSON.stringify(query);
  const kept = useRef({ of: '', items: [], missed: false });
  const [fresh, setFresh] = useState(new Set());
  const polled = usePoll(
    async ({ signal }) => {
      const of = `${path} ${asked}`;
      const page = await api('GET', path, { query: { ...query, limit }, signal });
      const before = kept.current.of === of ? kept.current : { of, items: [], missed: false, first: true };
      const known = new Set(before.items.map((item) => item.id));
      const newer = page.items.filter((item) => !known.has(item.id));
      // States change after arrival: what came again replaces what was there.
      const again = new Map(page.items.map((item) => [item.id, item]));
      const items = [...newer, ...before.items.map((item) => again.get(item.id) ?? item)].slice(0, TAIL_KEPT);
      const missed = before.missed || (!before.first && newer.length === page.items.length && page.next !== null && before.items.length > 0);
      kept.current = { of, items, missed };
      setFresh(new Set(before.first ? [] : newer.map((item) => item.id)));
      return kept.current;
    },
    on ? ms : null,
    [path, asked, limit],
  );
  const shown = polled.data?.of === `${path} ${asked}` ? polled.data : { items: [], missed: false };
  return { items: shown.items, fresh, loading: polled.loading, error: polled.error, missed: shown.missed, reload: polled.reload };
}
