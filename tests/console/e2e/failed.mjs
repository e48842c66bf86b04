// What somebody does at 3 a.m.: why did this call's event not arrive, and send it again; all that was given up; an endpoint that is
// to rest, and what it missed.
import { holds, same } from '../lib/report.mjs';
import { things } from '../lib/pages.mjs';
import { until } from '../lib/world.mjs';

const seconds = (n) => n * 1000;

/** Types an id into the search that is on every page. */
async function find(it, id) {
  const search = it.by('searchbox', 'common.find.label');
  await search.fill(id);
  await search.press('Enter');
}

/** From a call of the loaded day to the delivery that failed: the id, one link, and there is why. */
export async function findByCall({ console: it, world }) {
  const of = await things(world);
  await it.go(`/t/${world.busy}`);
  await find(it, of.call);
  await it.page.waitForURL(`**/calls/${of.call}`);
  await it.settled();
  await it.sees('calls.troubles');
  await it.page.locator(`a[href$="/deliveries/${of.delivery}"]`).first().click();
  await it.page.waitForURL(`**/deliveries/${of.delivery}`);
  await it.settled();
  await it.sees('common.state.dead');
  await it.reads('the CRM is down');
  await it.go(`/t/${world.busy}/events`);
  await find(it, 'call_that_never_was');
  await it.sees('common.find.nothing', { id: 'call_that_never_was' });
}

/** Sends a dead delivery again, and sees that it arrived; the page knows it after a reload, too. */
export async function replay({ console: it, world }) {
  const tenant = await world.tenant('Replay');
  const endpoint = await world.endpoint(tenant, { retry: { attempts: 1 } }, { status: 503, body: 'out of order' });
  const event = await world.post(tenant, 'call.failed', 'call_lost');
  const [dead] = await world.deliveries(tenant, 'dead');
  await world.receiver.behave(endpoint.path, { secret: endpoint.secret });
  await it.go(`/t/${tenant}/deliveries/${dead.id}`);
  await it.press('deliveries.resend.one');
  await it.dialog().press('deliveries.resend.one');
  await it.sees('deliveries.made.title');
  await it.sees('common.state.succeeded');
  const [first, second, ...others] = await world.receiver.arrived(endpoint.path, 2);
  same('the same event comes again, once', [first.id, second.id, second.verified, others.length], [event, event, 'ok', 0]);
  await it.page.reload();
  await it.settled();
  await it.sees('deliveries.made.title');
}

/** A tenant with seven dead letters of two types, and a receiver that is well again. */
async function withDead(world, name) {
  const tenant = await world.tenant(name);
  const endpoint = await world.endpoint(tenant, { retry: { attempts: 1 } }, { status: 500 });
  const types = ['call.failed', 'call.failed', 'call.failed', 'call.ended', 'call.ended', 'call.ended', 'call.ended'];
  // One after the other: ten in a row would put the endpoint on hold.
  for (const [n, type] of types.entries()) await world.post(tenant, type, `call_${n}`);
  await world.deliveries(tenant, 'dead', types.length);
  await world.receiver.behave(endpoint.path, { secret: endpoint.secret });
  return { tenant, endpoint, at: `/v1/tenants/${tenant}` };
}

/** Filters dead letters, counts, delivers them again, and follows that over a reload. */
export async function redrive({ console: it, world }) {
  const { tenant, endpoint, at } = await withDead(world, 'Redrive');
  await it.go(`/t/${tenant}/dead-letters`);
  const filter = it.field('dead-letters.event_type');
  await filter.fill('call.failed');
  await filter.press('Enter');
  await it.page.waitForURL(/event_type=call\.failed/);
  await it.settled();
  same('the list is what was asked for', await it.page.getByRole('row').filter({ hasText: 'call.ended' }).count(), 0);
  await it.press('dead-letters.redrive_matching', { count: '3' });
  const start = it.dialog().button('dead-letters.redrive_now', { n: 3 });
  await start.waitFor();
  same('counting sends nothing', world.receiver.requests(endpoint.path).length, 7);
  await start.click();
  await it.page.waitForURL(/job=rpl_/);
  await world.receiver.arrived(endpoint.path, 10);
  await it.sees('common.state.done');
  await it.page.reload();
  await it.settled();
  await it.sees('common.state.done');
  const left = await world.api.items(`${at}/dead-letters`);
  same(
    'the others are still there',
    left.map((letter) => letter.event_type),
    Array(4).fill('call.ended'),
  );
  same(
    'each came once',
    world.receiver
      .requests(endpoint.path)
      .slice(7)
      .map((request) => request.verified),
    ['ok', 'ok', 'ok'],
  );
}

/** Nothing is discarded without its word. */
export async function discard({ console: it, world }) {
  const { tenant, endpoint, at } = await withDead(world, 'Discard');
  await it.go(`/t/${tenant}/dead-letters`);
  await it.press('dead-letters.discard_all', { count: '7' });
  const dialog = it.dialog();
  const confirm = dialog.button('dead-letters.discard_now', { n: 7 });
  await confirm.waitFor();
  holds('it wants a word first', await confirm.isDisabled());
  await dialog.field('dead-letters.type_to_discard', { tenant }).fill(`${tenant}x`);
  holds('and not another one', await confirm.isDisabled());
  await dialog.field('dead-letters.type_to_discard', { tenant }).fill(tenant);
  await confirm.click();
  await until('all are gone', async () => (await world.api.items(`${at}/dead-letters`)).length === 0);
  await it.sees('common.state.done');
  same('none was sent', world.receiver.requests(endpoint.path).length, 7);
}

/** Pauses an endpoint, and lets it have what it missed. */
export async function pauseAndDrain({ console: it, world }) {
  const tenant = await world.tenant('Pause');
  const endpoint = await world.endpoint(tenant);
  await it.go(`/t/${tenant}/endpoints/${endpoint.id}`);
  await it.press('endpoint.pause');
  await it.dialog().press('endpoint.pause');
  await it.sees('common.state.paused');
  for (const n of [1, 2, 3]) await world.post(tenant, 'call.ended', `call_${n}`);
  await world.deliveries(tenant, 'held', 3);
  same('nothing is sent meanwhile', world.receiver.requests(endpoint.path), []);
  await it.press('endpoint.resume');
  const dialog = it.dialog();
  await dialog.sees('endpoint.do.drain', { count: '3' });
  await dialog.press('endpoint.resume');
  const arrived = await world.receiver.arrived(endpoint.path, 3);
  same(
    'all of it comes, verified',
    arrived.map((request) => request.verified),
    ['ok', 'ok', 'ok'],
  );
  await it.sees('common.state.healthy');
}

/** The live tail: what comes is there without a reload; while it is paused nothing moves, and what came is counted. */
export async function liveTail({ console: it, world }) {
  const tenant = await world.tenant('Live');
  await it.go(`/t/${tenant}/events`);
  let documents = 0;
  it.page.on('request', (request) => request.resourceType() === 'document' && (documents += 1));
  await it.by('switch', 'events.live.label').click();
  await it.sees('events.live.waiting');
  const first = await world.post(tenant, 'call.started', 'call_live');
  await it.row(first).waitFor({ timeout: seconds(10) });
  await it.press('events.live.pause');
  const second = await world.post(tenant, 'call.ended', 'call_live');
  const show = it.button('events.live.show', { n: 1 });
  await show.waitFor({ timeout: seconds(10) });
  same('while it is paused nothing moves', await it.row(second).count(), 0);
  await show.click();
  await it.row(second).waitFor();
  same('no document was loaded', documents, 0);
  await it.page.reload();
  await it.settled();
  same('a reload stays live', await it.by('switch', 'events.live.label').getAttribute('aria-checked'), 'true');
}
