// Lists whose pages may be empty and have a next one: what one request looks through is bounded.
import { useEffect, useRef } from '../../lib/preact.js';

/** Pages without an item that are passed by at once. */
const MOST_EMPTY_PAGES = 10;

/** Goes on by itself while a list of `usePages` has nothing to show; answers whether it does. */
export function useKeepLooking(list) {
  const looks = useRef(0);
  const isEmpty = list.items.length === 0 && list.next !== null && !list.loading && !list.loadingMore && !list.error;
  useEffect(() => {
    if (list.items.length > 0 || list.next === null) looks.current = 0;
    if (!isEmpty || looks.current >= MOST_EMPTY_PAGES) return;
    looks.current += 1;
    list.more();
  }, [isEmpty, list.next]);
  return isEmpty && looks.current < MOST_EMPTY_PAGES;
}
