// One question for each of many things, a few at a time: the health of every endpoint in a list, the glance at every tenant.
// What is known stays on the page while the rest comes; nothing is asked twice but on demand.
import { useCallback, useEffect, useRef, useState } from '../../lib/preact.js';

/// Requests that are under way at once: a browser opens six connections, and people click meanwhile.
const AT_ONCE = 4;

/// Asks `load(key, signal)` for every key. Answers an object of `{data}` or `{error}` by key; what is missing is under way.
/// Another `round` asks for all of them anew, and shows what was known until then.
export function useEach(keys, load, round = 0) {
  const [known, setKnown] = useState({});
  const answers = useRef({ round, byKey: {} });
  const asked = keys.join('\n');

  useEffect(() => {
    const stop = new AbortController();
    const isNew = answers.current.round !== round;
    const done = isNew ? new Set() : new Set(Object.keys(answers.current.byKey));
    answers.current.round = round;
    const waiting = keys.filter((key) => !done.has(key));
    const work = async () => {
      for (let key = waiting.shift(); key !== undefined; key = waiting.shift()) {
        const answer = await ask(() => load(key, stop.signal));
        if (stop.signal.aborted) return;
        answers.current.byKey = { ...answers.current.byKey, [key]: answer };
        setKnown(answers.current.byKey);
      }
    };
    for (let n = 0; n < AT_ONCE; n += 1) work();
    return () => stop.abort();
  }, [asked, round]);

  return known;
}

/// Asks `load(key, signal)` for a key when somebody wants it, and never again: what is on the screen, row by row. Answers what is known,
/// as `useEach` does, and `want(key)`.
export function useOnDemand(load) {
  const [known, setKnown] = useState({});
  const work = useRef(null);
  work.current ??= { stop: new AbortController(), wanted: new Set(), waiting: [], running: 0, byKey: {} };
  useEffect(() => () => work.current.stop.abort(), []);
  const want = useCallback((key) => {
    const now = work.current;
    if (now.wanted.has(key)) return;
    now.wanted.add(key);
    now.waiting.push(key);
    if (now.running < AT_ONCE) run();
  }, []);
  const run = async () => {
    const now = work.current;
    now.running += 1;
    for (let key = now.waiting.shift(); key !== undefined; key = now.waiting.shift()) {
      const of = key;
      const answer = await ask(() => load(of, now.stop.signal));
      if (now.stop.signal.aborted) return;
      now.byKey = { ...now.byKey, [of]: answer };
      setKnown(now.byKey);
    }
    now.running -= 1;
  };
  return [known, want];
}

async function ask(load) {
  try {
    return { data: await load() };
  } catch (error) {
    return { error };
  }
}
