// What somebody sees while an endpoint has trouble: that its deliveries are being retried, that it is on hold and what to do, that it
// recovers; and a call whose tenant nobody knows. Must never wait for a long retry: endpoints here have waits that outlast the test.
import { holds, same } from '../lib/report.mjs';
import { until } from '../lib/world.mjs';

/** Failures in a row that put an endpoint on hold: docs/LIMITS.md. */
const TO_HOLD = 10;
/** Events that are held after that: more than wait in the queue at one a second (120 s, docs/LIMITS.md); the rest is held until then. */
const HELD = 150;
/** Most deliveries of a page. */
const PAGE = 100;
/** A wait before the next attempt that is longer than any test, in seconds. */
const LONG_S = 3600;

/** The overview does not say that nothing is the matter while deliveries are being retried. */
export async function retried({ console: it, world }) {
  const tenant = await world.tenant('Retried');
  const endpoint = await world.endpoint(tenant, { retry: { attempts: 2, delays: [LONG_S] } }, { status: 503 });
  await world.post(tenant, 'call.ended', 'call_retried');
  await world.deliveries(tenant, 'retrying');
  await it.go(`/t/${tenant}`);
  await it.sees('overview.item.retrying', { count: '1' });
  same('it does not say that nothing is to be done', await it.count('overview.nothing'), 0);
  await it.sees('overview.retried_hint', { count: '1' });
  await it.follow('overview.step.retrying');
  await it.page.waitForURL(`**/endpoints/${endpoint.id}`);
}

/** An endpoint that is on hold, with deliveries that wait for it. */
async function onHold(world, name) {
  const tenant = await world.tenant(name);
  const endpoint = await world.endpoint(tenant, { retry: { attempts: 2, delays: [LONG_S] } }, { status: 500 });
  for (let n = 0; n < TO_HOLD; n += 1) await world.post(tenant, 'call.failed', `call_${n}`);
  await world.deliveries(tenant, 'retrying', 1);
  await until('the endpoint is on hold', async () =>
    (await world.api.do('GET', `/v1/tenants/${tenant}/endpoints/${endpoint.id}`)).hold !== null);
  await Promise.all(Array.from({ length: HELD }, (_, n) => world.post(tenant, 'call.ended', `held_${n}`)));
  const held = await world.deliveries(tenant, 'held', PAGE);
  return { tenant, endpoint, delivery: held.find((one) => one.attempts.length === 0) };
}

/** A delivery that is held says why, since when and what to do; from there the endpoint is resumed, and says that it recovers. */
export async function held({ console: it, world }) {
  const { tenant, endpoint, delivery } = await onHold(world, 'Held');
  await it.go(`/t/${tenant}`);
  await it.sees('overview.item.held');
  same('nobody is told that all is well', await it.count('overview.nothing'), 0);

  await it.go(`/t/${tenant}/deliveries/${delivery.id}`);
  await it.sees('deliveries.hold.title.failing');
  await it.reads(it.text('deliveries.hold.since'));
  await it.reads(it.text('deliveries.hold.next_probe'));
  same('no next attempt is promised', await it.count('deliveries.next_try'), 0);
  const main = await it.page.locator('main').innerText();
  holds(`no moment is as the API writes it: ${main}`, !/\d{4}-\d\d-\d\dT\d\d:\d\d/.test(main));

  await world.receiver.behave(endpoint.path, { secret: endpoint.secret });
  await it.follow('deliveries.hold.resume');
  const dialog = it.dialog();
  await dialog.field('endpoint.drain_rate').fill('1');
  await dialog.press('endpoint.resume');
  await it.sees('endpoint.health.recovering');
  await it.sees('common.state.recovering');
}

/** One that is held for an endpoint which takes deliveries again is sent at once, and only once. */
export async function released({ console: it, world }) {
  const tenant = await world.tenant('Released');
  const endpoint = await world.endpoint(tenant, { state: 'paused' });
  const event = await world.post(tenant, 'call.ended', 'call_kept');
  const [delivery] = await world.deliveries(tenant, 'held');
  await it.go(`/t/${tenant}/deliveries/${delivery.id}`);
  await it.sees('deliveries.hold.title.paused');
  await world.api.do('POST', `/v1/tenants/${tenant}/endpoints/${endpoint.id}/resume`, { backlog: 'keep' });
  await it.page.reload();
  await it.settled();
  await it.sees('deliveries.hold.title.kept');
  await it.press('deliveries.resend.now');
  await it.dialog().press('deliveries.resend.now');
  const arrived = await world.receiver.arrived(endpoint.path);
  await it.sees('common.state.succeeded');
  same('it came once', arrived.map(({ id }) => id), [event]);
}

/** Tenants whose rows are not on the screen are not asked; of the others each once. */
export async function tenants({ console: it, page, world }) {
  const asked = [];
  page.on('request', (request) => {
    const path = new URL(request.url()).pathname;
    if (/^\/v1\/tenants\/./.test(path)) asked.push(path);
  });
  await page.setViewportSize({ width: 1280, height: 420 });
  await it.go('/');
  same('each is asked once', asked.length, new Set(asked).size);
  same('and about one thing', asked.filter((path) => !path.endsWith('/statistics')), []);
  const rows = await page.getByRole('row').count();
  holds(`not all ${rows} rows are on the screen, and ${asked.length} are asked`, asked.length < rows - 1);
  await it.row(world.busy).scrollIntoViewIfNeeded();
  await until('the one that is scrolled to is asked', () => asked.some((path) => path.includes(`/${world.busy}/`)));
}

/** A call is found without knowing whose it is; it is said how many were asked. */
export async function callOfSomebody({ console: it, world }) {
  const tenant = await world.tenant('Somebody');
  await world.post(tenant, 'call.ended', 'call_of_somebody');
  await it.go('/');
  await it.fill('tenants.call.id', 'call_of_somebody');
  await it.press('tenants.call.ask');
  const hit = it.page.locator(`a[href$="/t/${tenant}/calls/call_of_somebody"]`);
  await hit.waitFor();
  await it.page.getByText(it.says('tenants.call.hits', { n: 1 }, { ends: false })).waitFor();
  await it.page.reload();
  await hit.waitFor();
  await hit.click();
  await it.page.waitForURL(`**/t/${tenant}/calls/call_of_somebody`);
}
