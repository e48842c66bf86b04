// Which tenants know a call: they are asked one by one, a few at a time, and what is found is told at once. Pure but for the
// questions, which whoever uses it gives; never asks on after it was told to stop.

/** Questions that are under way at once. */
export const AT_ONCE = 4;
/** Most tenants that one search asks. */
export const MOST_TENANTS = 5000;
/** Seconds to wait where the server asks for a pause and does not say how long; and how often one tenant is asked. */
const PAUSE_S = 2;
const MOST_TRIES = 3;

const pause = (seconds, signal) => new Promise((done) => {
  const timer = setTimeout(done, seconds * 1000);
  signal.addEventListener('abort', () => { clearTimeout(timer); done(); }, { once: true });
});

/** Asks one tenant; where too much is asked at once, again after a while. */
async function answerOf(ask, tenant, signal) {
  for (let n = 1; ; n += 1) {
    try {
      return await ask(tenant, signal);
    } catch (error) {
      if (error.status !== 429 || n >= MOST_TRIES || signal.aborted) throw error;
      await pause(error.retryAfter ?? PAUSE_S, signal);
    }
  }
}

/**
 * @param {AsyncIterable<object[]>} pages the tenants, page by page
 * @param {(tenant: object, signal: AbortSignal) => Promise<any>} ask what a tenant has of the call; `null`: nothing
 * @param {(progress: {asked: number, known: number, failed: number, hits: {tenant: object, found: any}[], isCut: boolean}) => void} tell
 *   after every answer: how many were asked, are known so far, could not be asked, and what was found
 */
export async function searchTenants(pages, ask, tell, signal) {
  const progress = { asked: 0, known: 0, failed: 0, hits: [], isCut: false };
  const told = () => signal.aborted || tell({ ...progress, hits: [...progress.hits] });
  const one = async (tenant) => {
    try {
      const found = await answerOf(ask, tenant, signal);
      if (found !== null) progress.hits.push({ tenant, found });
    } catch {
      progress.failed += 1;
    }
    progress.asked += 1;
    told();
  };
  for await (const page of pages) {
    const waiting = page.slice(0, MOST_TENANTS - progress.known);
    progress.isCut = waiting.length < page.length;
    progress.known += waiting.length;
    told();
    const work = async () => {
      while (waiting.length > 0 && !signal.aborted) await one(waiting.shift());
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (signal.aborted || progress.isCut) break;
  }
  return progress;
}
