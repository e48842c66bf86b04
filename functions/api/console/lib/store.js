// A value that components can watch. It never touches the network or the page.
import { useEffect, useState } from './preact.js';

/**
 * @template T
 * @param {T} initial
 * @returns {{get: () => T, set: (value: T) => void, subscribe: (listener: (value: T) => void) => () => void}}
 */
export function store(initial) {
  let value = initial;
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const listener of [...listeners]) listener(value);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The store's value, and a new rendering when it changes. */
export function useStore(watched) {
  const [, again] = useState({});
  const value = watched.get();
  useEffect(() => {
    // Between rendering and this effect it may have changed already.
    if (watched.get() !== value) again({});
    return watched.subscribe(() => again({}));
  }, [watched]);
  return value;
}
