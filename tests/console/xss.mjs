// Forty hostile strings in every field that takes text, in payloads, in what receivers answer, in addresses and in what readers
// type: no dialog, no report of the content security policy, no request to elsewhere, no window, and each string to be read as
// the text that it is. Planted scripts, looked for in the same way, are found. Must never weaken the policy to look for itself.
import { readFileSync } from 'node:fs';
import { HOSTILE, enterPortal, go, launch, reader, settled, signIn } from './lib/browser.mjs';
import { inParallel, suite } from './lib/report.mjs';
import { pattern } from './lib/texts.mjs';
import { until, world as theWorld } from './lib/world.mjs';

const STRINGS = JSON.parse(readFileSync(new URL('xss-strings.json', import.meta.url), 'utf8'));
// Of this process: the same world may be tried twice.
const TENANT = `hostile-${process.pid}`;
// Pages that are open at a time.
const WIDTH = 3;
// Test exchanges, each with a part of the strings.
const TESTS = 4;

/** True if a string can be the value of a header. */
const isLine = (string) => /^[\x20-\x7e]*$/.test(string);

/** What the API takes of a list of wishes; what it refuses (a header with a line break) cannot reach the console. */
async function made(world, method, wishes) {
  const answers = await Promise.all(wishes.map(([path, body]) => world.api.ask(method, path, body)));
  const broken = answers.find((answer) => answer.status >= 500);
  if (broken) throw new Error(`${method}: ${JSON.stringify(broken.body)}`);
  return answers;
}

const count = (answers) => answers.filter((answer) => answer.status < 300).length;

/** Puts every string wherever the API takes one; gives the ids, by string. */
async function plant(world) {
  const at = `/v1/tenants/${TENANT}`;
  await world.api.do('PUT', at, { name: STRINGS[0], max_endpoints: 100 });
  const tenants = await made(
    world,
    'PUT',
    STRINGS.map((string, n) => [`${at}-${n}`, { name: string }]),
  );
  const keys = await made(
    world,
    'POST',
    STRINGS.map((string) => ['/v1/keys', { scope: 'ingest', name: string }]),
  );
  const types = [];
  // One after the other: each is a change of the same catalogue.
  for (const [n, string] of STRINGS.entries()) {
    const wish = {
      group: 'hostile',
      description: string,
      schema: { type: 'object', title: string, description: string, properties: { [string]: { description: string } } },
      example: { [string]: string },
    };
    types.push(...(await made(world, 'PUT', [[`${at}/event-types/hostile.t${n}`, wish]])));
  }
  const endpoints = [];
  const paths = [];
  const headed = [];
  const linked = [];
  for (const [n, string] of STRINGS.entries()) {
    const path = `/hostile/${n}?x=${encodeURIComponent(string)}`;
    await world.receiver.behave(path, { status: 500, body: string, headers: isLine(string) ? { 'x-said': string } : {} });
    const wish = { url: world.receiver.origin + path, description: string, metadata: { said: string }, agents: [`agt_${n}`] };
    const [answer] = await made(world, 'POST', [
      // Of other headers all that its receiver repeats is hidden, as a secret is: functions/dispatcher/src/hidden.rs.
      [`${at}/endpoints`, { ...wish, headers: { 'accept-told': string }, retry: { attempts: 1 } }],
    ]);
    headed.push(answer);
    const { id } =
      answer.status === 201 ? answer.body : await world.api.do('POST', `${at}/endpoints`, { ...wish, retry: { attempts: 1 } });
    // Keys of metadata have rules of their own.
    await world.api.ask('PATCH', `${at}/endpoints/${id}`, { metadata: { [string]: string } });
    endpoints.push(id);
    paths.push(path);
  }
  const events = STRINGS.map((string, n) => ({
    type: 'call.ended',
    tenant: TENANT,
    id: `hostile-${n}`,
    agent: `agt_${n}`,
    data: { call_id: `call_${n}`, [string]: string, inner: [{ said: string }] },
    related: { call_id: `call_${n}` },
  }));
  const posted = await world.api.do('POST', '/v1/events', events);
  for (const [n, string] of STRINGS.entries()) {
    // Related ids and links are stricter: each by itself, so that one that is refused takes nothing with it.
    const more = {
      ...events[n],
      id: `linked-${n}`,
      agent: 'agt_none',
      links: { call: string },
      related: { call_id: `call_${n}`, said: string },
    };
    linked.push(...(await made(world, 'POST', [['/v1/events', more]])));
  }
  await world.deliveries(TENANT, 'dead', STRINGS.length);
  return {
    endpoints,
    paths,
    // Where each string went in, and how many the API took there: what it refuses cannot reach the console.
    taken: {
      'names of tenants': count(tenants),
      'names of keys': count(keys),
      'event types': count(types),
      'headers of endpoints': count(headed),
      'events with links': count(linked),
      events: posted.events.filter((one) => !one.error).length,
    },
  };
}

/** The texts of a page and what its fields hold, as a reader could see them. */
const shownOn = (page) =>
  page.evaluate(() => {
    const held = [...document.querySelectorAll('input, textarea')].map((field) => field.value);
    return `${document.body.textContent}\n${held.join('\n')}`;
  });

// Marks that turn text round are shown as escapes within JSON.
const TURNING = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Whether a string stands there, as it is or as JSON writes it. */
function isShown(shown, string) {
  const inJson = JSON.stringify(string).slice(1, -1);
  const marked = inJson.replace(TURNING, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return [string, inJson, marked].some((form) => shown.includes(form));
}

/** Goes through pages, some at a time, each in the context of its lane. */
async function visit(lanes, list, look = async () => {}) {
  const free = [...lanes];
  await inParallel(list, lanes.length, async (item) => {
    const lane = free.pop();
    try {
      await look(lane.page, item);
    } finally {
      free.push(lane);
    }
  });
}

/** What happened in the lanes since the last time. */
const happened = (lanes) => lanes.flatMap(({ watch }) => watch.take(HOSTILE));

async function lists(report, lanes) {
  const places = [
    '/',
    '/keys',
    '',
    '/endpoints',
    '/events',
    '/deliveries',
    '/dead-letters',
    '/replays',
    '/event-types',
    '/settings',
  ];
  const paths = places.map((place) => (place === '/' || place === '/keys' ? place : `/t/${TENANT}${place}`));
  await visit(lanes, paths, go);
  report.nothing('lists of forty hostile names do nothing', happened(lanes));
}

async function details(report, lanes, planted) {
  const at = `/t/${TENANT}`;
  const kinds = {
    event: (n) => `${at}/events/hostile-${n}`,
    'event with links': (n) => `${at}/events/linked-${n}`,
    delivery: (n) => `${at}/deliveries/hostile-${n}.${planted.endpoints[n]}`,
    call: (n) => `${at}/calls/call_${n}`,
    endpoint: (n) => `${at}/endpoints/${planted.endpoints[n]}`,
    settings: (n) => `${at}/endpoints/${planted.endpoints[n]}?tab=settings`,
    'event type': (n) => `${at}/event-types/hostile.t${n}`,
  };
  const toBeRead = ['event', 'delivery', 'endpoint', 'settings', 'event type'];
  for (const [kind, path] of Object.entries(kinds)) {
    const missing = [];
    const numbers = [...STRINGS.keys()];
    await visit(lanes, numbers, async (page, n) => {
      await go(page, path(n));
      if (toBeRead.includes(kind) && !isShown(await shownOn(page), STRINGS[n])) missing.push(STRINGS[n]);
    });
    report.nothing(`${numbers.length} pages of the kind "${kind}" with a hostile string do nothing`, happened(lanes));
    if (toBeRead.includes(kind)) report.nothing(`and each shows it as text (${kind})`, missing);
  }
}

/** Sends samples to receivers that answer with all of the strings, and looks at the exchange that is shown. */
async function exchanges(report, lanes, world, planted) {
  // A tenant may be tested ten times in a row: some strings go together.
  const parts = Array.from({ length: TESTS }, (_, n) => STRINGS.filter((__, at) => at % TESTS === n));
  const missing = [];
  await visit(lanes, parts, async (page, strings) => {
    const endpoint = planted.endpoints[parts.indexOf(strings)];
    const headers = Object.fromEntries(strings.filter(isLine).map((string, n) => [`x-said-${n}`, string]));
    await world.receiver.behave(planted.paths[parts.indexOf(strings)], { body: strings.join('\n'), headers });
    await go(page, `/t/${TENANT}/endpoints/${endpoint}?tab=test`);
    const answered = page.waitForResponse((response) => response.url().endsWith('/test'));
    await page
      .getByRole('tabpanel')
      .getByRole('button', { name: pattern('endpoint.send_test') })
      .click();
    await answered;
    await settled(page);
    const shown = await shownOn(page);
    missing.push(...strings.filter((string) => !isShown(shown, string)));
  });
  report.nothing('test exchanges with hostile answers and headers do nothing', happened(lanes));
  report.nothing('and show all of it as text', missing);
}

/** Addresses with a string in every part of them. */
async function addresses(report, lanes) {
  const at = `/t/${TENANT}`;
  const all = STRINGS.flatMap((string) => {
    const said = encodeURIComponent(string);
    const filters = [
      'call',
      'type',
      'event_type',
      'agent',
      'endpoint',
      'state',
      'reason',
      'since',
      'until',
      'q',
      'tab',
      'job',
      'replay',
      'erasure',
      'range',
      'step',
      'next',
      'lang',
    ];
    const query = filters.map((name) => `${name}=${said}`).join('&');
    const below = [`${at}/events?${query}`, `${at}/dead-letters?${query}`, `${at}/deliveries?${query}`, `${at}/replays?${query}`];
    return [...below, `${at}/calls/${said}`, `/t/${said}/events/${said}`, `/sign-in?${query}#${said}`];
  });
  await visit(lanes, all, go);
  report.nothing(`${all.length} addresses with hostile parts do nothing`, happened(lanes));
}

/** Types a string into every field of a page, as a reader would, and sends what can be sent. */
async function type(page, string) {
  const fields = 'main input:not([type=checkbox]):not([type=radio]):not([type=file]), main textarea';
  await page.evaluate(
    ([selector, text]) => {
      for (const field of document.querySelectorAll(selector)) {
        if (field.disabled || field.readOnly) continue;
        const own = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
        field.focus();
        Object.getOwnPropertyDescriptor(own.prototype, 'value').set.call(field, text);
        field.dispatchEvent(new InputEvent('input', { bubbles: true, data: text }));
        field.dispatchEvent(new Event('change', { bubbles: true }));
        field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
        field.blur();
      }
    },
    [fields, string],
  );
  await page.evaluate(() => {
    for (const form of document.querySelectorAll('main form')) form.requestSubmit();
  });
  await settled(page);
}

async function typed(report, lanes, planted) {
  const at = `/t/${TENANT}`;
  const endpoint = `${at}/endpoints/${planted.endpoints[0]}`;
  const places = [
    `${at}/endpoints/new`,
    `${endpoint}?tab=settings`,
    `${endpoint}?tab=test`,
    `${at}/events`,
    `${at}/deliveries`,
    `${at}/dead-letters`,
    `${at}/replays?new=endpoint`,
    `${at}/event-types`,
    `${at}/event-types?new=true`,
    `${at}/settings`,
    `${at}/events/hostile-1`,
    '/',
    '/keys?new=true',
  ];
  const fields = new Map();
  const typed = new Map();
  await visit(lanes, places, async (page, place) => {
    await go(page, place);
    const count = () => page.locator('main input, main textarea').count();
    fields.set(place, await count());
    for (const string of STRINGS) {
      // What was sent may have led away, or closed the form.
      if (!page.url().includes(place.split('?')[0]) || (await count()) === 0) await go(page, place);
      await type(page, string);
      typed.set(place, (typed.get(place) ?? 0) + 1);
    }
  });
  const sum = [...fields.values()].reduce((one, other) => one + other, 0);
  report.note(`fields: ${[...fields].map(([place, count]) => `${place} ${count}`).join(', ')}`);
  report.nothing(
    'each page has fields to type into',
    places.filter((place) => !fields.get(place)),
  );
  report.check('and there are many', sum > 50, `${sum} fields`);
  report.equal('each got all of the strings', [...new Set(typed.values())], [STRINGS.length]);
  report.nothing('forty strings typed into every field do nothing', happened(lanes));
}

/** Changes the shell on its way to the browser: `put` is what an attacker got into it. */
async function planted(page, put, { policy }) {
  await page.route('**/console/**', async (route) => {
    if (route.request().resourceType() !== 'document') return route.continue();
    const answer = await route.fetch();
    const headers = { ...answer.headers() };
    delete headers['content-length'];
    delete headers['content-encoding'];
    if (!policy) delete headers['content-security-policy'];
    return route.fulfill({ status: answer.status(), headers, body: (await answer.text()).replace('</body>', `${put}</body>`) });
  });
  await page.goto('/console/sign-in');
}

/** That what is looked for would be seen. */
async function plants(report, browser, world) {
  const seen = async (put, wish, kind) => {
    const lane = await reader(browser, world);
    await planted(lane.page, put, wish);
    const found = await until(`${kind} of ${put}`, () => lane.watch.found.find((one) => one.kind === kind), {
      withinMs: 5000,
    }).catch(() => null);
    await lane.context.close();
    return found;
  };
  const script = '<script>alert("planted")</script>';
  const image = '<img src="http://elsewhere.invalid/planted.gif" alt="">';
  report.check(
    'a planted inline script is stopped by the policy, and its report is seen',
    await seen(script, { policy: true }, 'policy'),
  );
  report.check('without the policy it runs, and its dialog is seen', await seen(script, { policy: false }, 'dialog'));
  report.check(
    'a planted handler is stopped by the policy, and its report is seen',
    await seen('<img src="/v1" onerror="alert(2)" alt="">', { policy: true }, 'policy'),
  );
  report.check('a planted image from elsewhere is stopped, and its report is seen', await seen(image, { policy: true }, 'policy'));
  report.check('without the policy it is asked for, and that is seen', await seen(image, { policy: false }, 'elsewhere'));
}

/** What the product itself says of its pages. */
async function policy(report, world) {
  for (const path of ['/console/', '/console/t/acme/events', '/console/app.js']) {
    const answer = await fetch(world.url + path);
    const said = answer.headers.get('content-security-policy') ?? '';
    const wanted = [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self'",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'self'",
      'frame-ancestors',
    ];
    report.nothing(
      `${path} has the whole policy`,
      wanted.filter((part) => !said.includes(part)),
    );
    report.check(`and allows nothing inline (${path})`, said !== '' && !/unsafe|data:|\*/.test(said), said);
    const told = ['x-content-type-options', 'referrer-policy'].map((name) => answer.headers.get(name));
    report.equal(`and is not guessed at and not told on (${path})`, told, ['nosniff', 'no-referrer']);
    const kept = answer.headers.get('cache-control') ?? '';
    report.check(`nobody keeps it unasked (${path})`, /no-cache|no-store/.test(kept), kept);
  }
}

await suite('xss', async (report) => {
  const world = theWorld();
  report.equal('there are forty strings', new Set(STRINGS).size, 40);
  const browser = await launch();
  try {
    await policy(report, world);
    await plants(report, browser, world);
    const made = await plant(world);
    for (const [where, count] of Object.entries(made.taken)) {
      // The last has a mark that turns text round, which no header may have.
      const least = where === 'headers of endpoints' ? STRINGS.filter(isLine).length : STRINGS.length;
      report.equal(`${where} take ${least} of them`, count, least);
    }
    const lanes = await Promise.all(Array.from({ length: WIDTH }, () => reader(browser, world)));
    for (const { page } of lanes) await signIn(page, world);
    const arabic = await reader(browser, world, { language: 'ar' });
    await enterPortal(arabic.page, world, TENANT);
    await lists(report, lanes);
    await lists(report, [arabic]);
    await details(report, lanes, made);
    await exchanges(report, lanes, world, made);
    await addresses(report, lanes);
    await typed(report, lanes, made);
  } finally {
    await browser.close();
  }
});
