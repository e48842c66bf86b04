// Asking again and again until what was asked about is over.
import { useEffect, useState } from '../../lib/preact.js';
import { usePoll } from '../../lib/live.js';

/** As `usePoll`, until `isOver(data)`; asked anew (`reload`, `deps`) it may go on. */
export function usePollUntil(fn, ms, isOver, deps) {
  const [rests, setRests] = useState(false);
  const asked = usePoll(fn, rests ? null : ms, deps);
  const over = asked.data !== null && isOver(asked.data);
  useEffect(() => setRests(over), [over]);
  return asked;
}
