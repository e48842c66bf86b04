// The browser: Debian's Chromium, driven by playwright-core. Contexts as readers have them (language, light or dark, width), each
// watched for what must never happen: a dialog, a report of the content security policy, a request to elsewhere, an error.
// Must never reach anything but this machine: no other host resolves.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Where `run` has put playwright-core and axe-core. */
export const TOOLS = process.env.CONSOLE_TOOLS ?? new URL('../../../target/console', import.meta.url).pathname;
export const required = createRequire(join(TOOLS, 'suite.js'));

// How long one action may wait for its element, in milliseconds: far more than it takes on a busy machine.
const ACTION_MS = 30_000;
const START_MS = 60_000;

export const DESKTOP = { width: 1280, height: 860 };
export const WIDE = { width: 1920, height: 1080 };
export const PHONE = { width: 360, height: 740 };

/** Starts Chromium. As root it has no sandbox of its own; what it opens is ours. */
export function launch(more = []) {
  const { chromium } = required('playwright-core');
  return chromium.launch({
    executablePath: process.env.CONSOLE_CHROMIUM ?? '/usr/bin/chromium',
    timeout: START_MS,
    args: ['--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost', '--no-proxy-server', '--disable-dev-shm-usage', ...more],
  });
}

/** What happened in a context that must not: `{kind, what, page}`, in order. */
class Watch {
  constructor(origin) {
    this.origin = origin;
    this.found = [];
  }

  saw(kind, what, page) {
    this.found.push({ kind, what: String(what).slice(0, 400), page });
  }

  /** What was seen of some kinds since the last time, as sentences. */
  take(kinds) {
    const taken = this.found.filter((one) => kinds.includes(one.kind));
    this.found = this.found.filter((one) => !kinds.includes(one.kind));
    return taken.map((one) => `${one.kind}: ${one.what} (at ${one.page})`);
  }
}

/** Kinds that hostile text could cause. */
export const HOSTILE = ['dialog', 'policy', 'elsewhere', 'popup'];
/** Kinds that are mistakes of the console's. */
export const MISTAKES = ['error', 'console', 'policy'];

async function watched(context, origin) {
  const watch = new Watch(origin);
  const where = (page) => {
    try {
      return new URL(page.url()).pathname;
    } catch {
      return '?';
    }
  };
  context.on('dialog', (dialog) => {
    // Whether what is not saved may be lost is asked for good reason, and a suite that goes on means it.
    if (dialog.type() === 'beforeunload') return dialog.accept().catch(() => {});
    watch.saw('dialog', `${dialog.type()} ${dialog.message()}`, where(dialog.page()));
    return dialog.dismiss().catch(() => {});
  });
  context.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !/^(blob:|about:)/.test(url)) watch.saw('elsewhere', url, '');
  });
  context.on('weberror', (error) => watch.saw('error', error.error().stack ?? error.error(), where(error.page())));
  context.on('console', (message) => {
    const isLost = message.text().startsWith('messages.');
    // A refused request is the page's to explain, and Chromium logs it in any case.
    const isOfPage = message.type() === 'error' && !message.text().startsWith('Failed to load resource');
    if (!isLost && !isOfPage) return;
    watch.saw('console', message.text(), where(message.page()));
  });
  await context.exposeBinding('reportPolicy', ({ page }, said) => watch.saw('policy', said, where(page)));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.reportPolicy(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  return watch;
}

/** A context as a reader has it; `watch` of what it gives is what happened in it. */
export async function reader(browser, world, { language = 'en', dark = false, viewport = DESKTOP, ...more } = {}) {
  const context = await browser.newContext({
    baseURL: world.url,
    locale: language === 'en' ? 'en-GB' : language,
    colorScheme: dark ? 'dark' : 'light',
    viewport,
    reducedMotion: 'reduce',
    timezoneId: 'Asia/Tashkent',
    ...more,
  });
  context.setDefaultTimeout(ACTION_MS);
  const watch = await watched(context, world.url);
  const page = await context.newPage();
  count(page);
  context.on('page', (other) => {
    watch.saw('popup', other.url(), '');
    count(other);
  });
  return { context, page, watch };
}

const asked = new WeakMap();

/** Counts the API requests of a page that are under way. */
function count(page) {
  const open = new Set();
  asked.set(page, open);
  page.on('request', (request) => new URL(request.url()).pathname.startsWith('/v1') && open.add(request));
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => open.delete(request));
}

/** Waits until a page shows what it has: a heading, nothing loading, no request of the API under way. */
export async function settled(page, withinMs = ACTION_MS) {
  await page.locator('h1').first().waitFor({ timeout: withinMs });
  const ends = Date.now() + withinMs;
  let still = 0;
  while (still < 2) {
    const isBusy = await page.evaluate(() => document.querySelector('[aria-busy="true"], .waiting-on') !== null);
    still = isBusy || asked.get(page).size > 0 ? 0 : still + 1;
    if (Date.now() > ends) throw new Error(`${page.url()} is still loading after ${withinMs / 1000} s`);
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 20))));
  }
}

/** Shows a page in light or dark colours, and waits until they are there: buttons take a moment to change. */
export async function colour(page, colorScheme) {
  await page.emulateMedia({ colorScheme });
  await page.evaluate(async () => {
    const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    await drawn();
    const changing = document.getAnimations().filter((one) => one instanceof CSSTransition);
    await Promise.all(changing.map((one) => one.finished.catch(() => {})));
    await drawn();
  });
}

/** Goes to a page of the console and waits until it is there. */
export async function go(page, path) {
  await page.goto(`/console${path}`);
  await settled(page);
}

/** The readers of a suite, one for each door: nobody, an operator, the busy customer. `close` ends them. */
export async function readers(browser, world, wish = {}) {
  const [nobody, operator, customer] = await Promise.all([1, 2, 3].map(() => reader(browser, world, wish)));
  await signIn(operator.page, world);
  await enterPortal(customer.page, world, world.busy);
  const close = () => Promise.all([nobody, operator, customer].map(({ context }) => context.close()));
  return { nobody, operator, customer, close };
}

/** Signs an operator in, without the form (e2e.mjs uses the form). */
export async function signIn(page, world) {
  await page.goto('/console/sign-in');
  const status = await page.evaluate(async (key) => {
    const headers = { 'content-type': 'application/json' };
    return (await fetch('/v1/session', { method: 'POST', headers, body: JSON.stringify({ key }) })).status;
  }, world.key);
  if (status !== 204) throw new Error(`POST /v1/session answered ${status}`);
}

/** Opens a customer's portal by a link made by the operator. */
export async function enterPortal(page, world, tenant, wish = {}) {
  const link = await world.api.do('POST', `/v1/tenants/${tenant}/portal`, wish);
  await page.goto(`/console/portal#${link.token}`);
  await settled(page);
  return link;
}

/** Keeps what a page looks like, and says where; for a failed check. */
export async function picture(page, name) {
  const folder = join(TOOLS, 'failures');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name.replace(/[^a-z0-9]+/gi, '-').slice(0, 80));
  await page.screenshot({ path: `${file}.png`, fullPage: true });
  writeFileSync(`${file}.html`, await page.content());
  return [`at ${page.url()}; it looked like ${file}.png`];
}
