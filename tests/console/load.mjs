// How heavy the console is and how long it takes to be there: bytes as they come over the wire, requests, paint and data, as
// nobody has it in the cache yet, on this machine's own speed and on a phone's (slow 4G, a processor four times slower); and that
// what was loaded once is kept. Writes the table of docs/CONSOLE.md to target/console/load.md. Its times are figures, not checks:
// bytes, jumps and what is asked for again are judged.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DESKTOP, PHONE, TOOLS, go, launch, reader, settled, signIn } from './lib/browser.mjs';
import { pages } from './lib/pages.mjs';
import { suite } from './lib/report.mjs';
import { world as theWorld } from './lib/world.mjs';

// Most bytes of the first page, with everything that it asks for.
const MOST_BYTES = 150_000;
// What web.dev calls good.
const MOST_SHIFT = 0.1;
const TRIES = 3;
// How long a visit may take on the slow profile, in milliseconds, if the machine has other things to do as well.
const SLOW_MS = 120_000;
const PROFILES = [
  { profile: 'this machine', viewport: DESKTOP, network: null, slower: 1 },
  // As Lighthouse has it.
  {
    profile: 'slow 4G, CPU 4 times slower',
    viewport: PHONE,
    slower: 4,
    network: { latency: 150, downloadThroughput: (1.6 * 1024 * 1024) / 8, uploadThroughput: (750 * 1024) / 8 },
  },
];
const LOOKED_AT = ['sign-in', 'tenants', 'overview', 'endpoint-held', 'event'];

/** Before the page's own scripts: remembers what is painted and what moves. */
function observe() {
  const seen = { paint: null, largest: null, shift: 0, blocked: 0 };
  globalThis.seenWhile = seen;
  const watch = (type, took) =>
    new PerformanceObserver((list) => list.getEntries().forEach(took)).observe({ type, buffered: true });
  watch('paint', (entry) => entry.name === 'first-contentful-paint' && (seen.paint = entry.startTime));
  watch('largest-contentful-paint', (entry) => (seen.largest = entry.startTime));
  watch('layout-shift', (entry) => entry.hadRecentInput || (seen.shift += entry.value));
  watch('longtask', (entry) => (seen.blocked += Math.max(0, entry.duration - 50)));
}

/** Counts what comes over the wire from now on, the API's apart. */
async function wire(page, network) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  if (network) await session.send('Network.emulateNetworkConditions', { offline: false, ...network });
  const urls = new Map();
  const sums = { files: 0, fileBytes: 0, calls: 0, callBytes: 0 };
  session.on('Network.requestWillBeSent', ({ requestId, request }) => urls.set(requestId, request.url));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const isCall = new URL(urls.get(requestId) ?? 'http://x/').pathname.startsWith('/v1');
    sums[isCall ? 'calls' : 'files'] += 1;
    sums[isCall ? 'callBytes' : 'fileBytes'] += encodedDataLength;
  });
  return { session, sums };
}

/** One first visit. */
async function visit(browser, world, { door, path }, { viewport, network, slower }) {
  const { context, page } = await reader(browser, world, { viewport });
  if (door === 'operator') await signIn(page, world);
  // Signing in has loaded the console once: what follows begins without a cache.
  await page.goto('about:blank');
  const { session, sums } = await wire(page, network);
  await session.send('Network.clearBrowserCache');
  if (slower > 1) await session.send('Emulation.setCPUThrottlingRate', { rate: slower });
  await page.addInitScript(observe);
  const began = performance.now();
  await page.goto(`/console${path}`, { timeout: SLOW_MS });
  await settled(page, SLOW_MS);
  const there = performance.now() - began;
  const seen = await page.evaluate(() => globalThis.seenWhile);
  await context.close();
  return { ...sums, ...seen, there };
}

const middle = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
const seconds = (ms) => (ms === null ? '-' : `${(ms / 1000).toFixed(2)} s`);
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(0)} kB`;

await suite('load', async (report) => {
  const world = theWorld();
  const browser = await launch();
  const rows = [
    ['page', 'on', 'files', 'over the wire', 'API calls', 'first paint', 'largest paint', 'all data there', 'blocked', 'moved'],
  ];
  try {
    const all = (await pages(world)).filter(({ name }) => LOOKED_AT.includes(name));
    report.equal('every page that is measured is there', all.map(({ name }) => name).sort(), [...LOOKED_AT].sort());
    for (const profile of PROFILES) {
      for (const one of all) {
        const tries = [];
        for (let n = 0; n < TRIES; n += 1) tries.push(await visit(browser, world, one, profile));
        const of = (name) => middle(tries.map((seen) => seen[name]));
        rows.push([
          one.name,
          profile.profile,
          of('files'),
          kilobytes(of('fileBytes')),
          `${of('calls')}, ${kilobytes(of('callBytes'))}`,
          seconds(of('paint')),
          seconds(of('largest')),
          seconds(of('there')),
          `${of('blocked').toFixed(0)} ms`,
          of('shift').toFixed(3),
        ]);
        const bytes = Math.max(...tries.map((seen) => seen.fileBytes));
        report.check(
          `${one.name} is at most ${kilobytes(MOST_BYTES)} (${profile.profile}): ${kilobytes(bytes)}`,
          bytes > 0 && bytes <= MOST_BYTES,
        );
        report.check(`nothing jumps on ${one.name} (${profile.profile})`, of('shift') <= MOST_SHIFT, `moved by ${of('shift')}`);
      }
    }
    await again(report, browser, world);
    // The server of the folder keeps nothing, so that a change is seen at once.
    if (!process.env.CONSOLE_FROM_FOLDER) await kept(report, browser, world);
  } finally {
    await browser.close();
  }
  const table = [rows[0], rows[0].map(() => '---'), ...rows.slice(1)].map((row) => `| ${row.join(' | ')} |`).join('\n');
  writeFileSync(join(TOOLS, 'load.md'), `${table}\n`);
  for (const row of rows) report.note(row.join(' · '));
});

/** From one page to the next within the console: no document is loaded again. */
async function again(report, browser, world) {
  const { context, page } = await reader(browser, world);
  await signIn(page, world);
  await go(page, `/t/${world.busy}`);
  const { sums } = await wire(page, null);
  let documents = 0;
  page.on('request', (request) => request.resourceType() === 'document' && (documents += 1));
  const began = performance.now();
  await page.locator(`nav a[href$="/t/${world.busy}/events"]`).first().click();
  await page.waitForURL('**/events');
  await settled(page);
  report.equal('going on within the console loads no document', documents, 0);
  report.note(`overview to events: ${sums.files} files, ${kilobytes(sums.fileBytes)}, ${seconds(performance.now() - began)}`);
  await context.close();
}

/** A second visit: the shell is asked for again, and nothing else, since the rest is named by its version. */
async function kept(report, browser, world) {
  const { context, page } = await reader(browser, world);
  await signIn(page, world);
  await go(page, `/t/${world.busy}`);
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const asked = new Map();
  const isOurs = (url) => new URL(url).pathname.startsWith('/console');
  session.on('Network.responseReceived', ({ requestId, response }) => {
    if (isOurs(response.url) && !response.fromDiskCache) asked.set(requestId, new URL(response.url).pathname);
  });
  // Said before the response is, of what is in memory; the disk's say it themselves.
  const inMemory = new Set();
  session.on('Network.requestServedFromCache', ({ requestId }) => inMemory.add(requestId));
  const named = new Set();
  page.on('request', (request) => isOurs(request.url()) && named.add(new URL(request.url()).pathname));
  await go(page, `/t/${world.busy}`);
  const shell = `/console/t/${world.busy}`;
  const overTheWire = [...asked].filter(([id]) => !inMemory.has(id)).map(([, path]) => path);
  report.equal('a second visit asks for the shell alone', [...new Set(overTheWire)], [shell]);
  report.nothing(
    'every script, style and text is named by its version',
    [...named].filter((path) => path !== shell && !/^\/console\/v-[0-9a-f]+\//.test(path)),
  );
  report.check('and there are some', named.size > 10, [...named]);
  await context.close();
}
