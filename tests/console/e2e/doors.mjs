// Who gets in and sees what: an operator with a key, a customer with a link, a page that shows the console in a frame; the reader's
// language and colours.
import { enterPortal, go, reader, settled } from '../lib/browser.mjs';
import { Console } from '../lib/console.mjs';
import { holds, same } from '../lib/report.mjs';
import { text } from '../lib/texts.mjs';

/** An operator signs in with a key, lands where they wanted to go, and out again. */
export async function signIn({ console: it, world, context }) {
  const { page } = it;
  const wanted = `/t/${world.busy}/events?type=call.failed`;
  await it.go(wanted);
  await it.sees('sign-in.title');
  const key = it.field('sign-in.key');
  await key.fill(`${world.key.slice(0, -4)}AAAA`);
  await it.press('common.action.sign_in');
  await it.sees('sign-in.refused.unknown');
  same('it is said at the field', await key.getAttribute('aria-invalid'), 'true');
  await key.fill(world.key);
  await it.press('common.action.sign_in');
  await page.waitForURL(`**/console${wanted}`);
  await it.settled();
  same('scripts see no session', await page.evaluate(() => document.cookie), '');
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  holds('the key is kept nowhere', !kept.includes(world.key));
  const [cookie] = await context.cookies();
  same('the session is the browser’s alone', [cookie.httpOnly, cookie.sameSite], [true, 'Strict']);
  await it.button('common.action.sign_out').filter({ visible: true }).click();
  await it.sees('sign-in.title');
  await it.go(wanted);
  await it.sees('sign-in.title');
  // The link that `redial serve` prints.
  await it.go(`/sign-in#key=${world.key}`);
  await it.sees('sign-in.title');
  holds('the key left the address', !page.url().includes(world.key));
  await it.press('common.action.sign_in');
  await page.waitForURL('**/console/');
  await it.settled();
}

/** A link made in the settings shows a customer their tenant and nothing else. */
export async function portal({ console: it, world, browser }) {
  const tenant = await world.tenant('The customer');
  const other = await world.tenant('Somebody else');
  const secret = await world.endpoint(other, { description: 'of somebody else' });
  await it.go(`/t/${tenant}/settings?tab=portal`);
  await it.press('settings.portal.make');
  const link = await it.link('settings.portal.open').getAttribute('href');
  holds(`the token is in the fragment: ${link}`, /^https?:\/\/[^#?]+\/console\/portal(\?[^#]*)?#rdp_/.test(link));

  const customer = await reader(browser, world);
  const { page } = customer;
  const theirs = new Console(page, world);
  // The link names the product's own origin; a server of the folder may stand before it.
  const { pathname, search, hash } = new URL(link);
  await page.goto(pathname + search + hash);
  await settled(page);
  await page.waitForURL(`**/console/t/${tenant}`);
  holds('the token left the address', !page.url().includes('rdp_'));
  await theirs.reads('The customer');
  same('there are no operators’ pages', await theirs.link('common.nav.section.keys').count(), 0);
  const asked = [];
  page.on(
    'response',
    (response) => response.url().includes('/v1/') && asked.push([response.status(), new URL(response.url()).pathname]),
  );
  for (const path of [
    `/t/${other}`,
    `/t/${other}/endpoints`,
    `/t/${other}/endpoints/${secret.id}`,
    `/t/${other}/events`,
    `/t/${other}/settings`,
  ]) {
    await go(page, path);
    const said = await page.locator('body').innerText();
    holds(`${path} tells nothing: ${said}`, !said.includes('of somebody else') && !said.includes('Somebody else'));
  }
  const ofOther = asked.filter(([, path]) => path.includes(other));
  same('the API answers as if there were no such tenant', [...new Set(ofOther.map(([status]) => status))], [404]);
  for (const path of ['/keys', '/data-keys']) {
    await go(page, path);
    await theirs.sees('common.not_found.title');
  }
  await go(page, `/t/${tenant}/settings?tab=portal`);
  same('a link makes no links', await theirs.button('settings.portal.make').count(), 0);
  await page.reload();
  await settled(page);
  await theirs.link('common.nav.section.endpoints').first().waitFor();
  await customer.context.close();
}

/** A link to look only: nothing that changes anything, no secret. */
export async function readOnly({ world, browser }) {
  const tenant = await world.tenant('Only looking');
  const endpoint = await world.endpoint(tenant);
  const { context, page } = await reader(browser, world);
  const it = new Console(page, world);
  const { token } = await enterPortal(page, world, tenant, { read_only: true });
  await go(page, `/t/${tenant}/endpoints`);
  same('no endpoint can be added', await it.link('endpoints.add').count(), 0);
  await go(page, `/t/${tenant}/endpoints/${endpoint.id}`);
  same('none can be paused', await it.button('endpoint.pause').count(), 0);
  for (const [method, path] of [
    ['POST', `endpoints/${endpoint.id}/pause`],
    ['GET', `endpoints/${endpoint.id}/secret`],
  ]) {
    const status = await page.evaluate(
      async ([way, to, bearer]) => (await fetch(to, { method: way, headers: { authorization: `Bearer ${bearer}` } })).status,
      [method, `/v1/tenants/${tenant}/${path}`, token],
    );
    same(`${method} ${path}`, status, 403);
  }
  await page.evaluate(() => sessionStorage.clear());
  // Another address alone after the # would load no page.
  await page.goto('about:blank');
  await page.goto('/console/portal#rdp_made_up');
  await it.sees('sign-in.portal.over');
  await context.close();
}

/** The platform's page may show the portal in a frame, and no other page may. */
export async function framed({ world, browser }) {
  const tenant = await world.tenant('Framed');
  const { token } = await world.api.do('POST', `/v1/tenants/${tenant}/portal`, {});
  const body = `<!doctype html><title>The platform</title><iframe src="${world.url}/console/portal#${token}" width="900" height="700"></iframe>`;
  await world.receiver.behave('/platform', { body, headers: { 'content-type': 'text/html' } });
  const { context, page } = await reader(browser, world);
  await page.goto(`${world.receiver.origin}/platform`);
  const frame = page.frameLocator('iframe');
  await frame.getByRole('heading', { level: 1, name: 'Framed' }).waitFor();
  const elsewhere = world.receiver.origin.replace('127.0.0.1', 'localhost');
  await page.goto(`${elsewhere}/platform`);
  const refused = page.frames().find((one) => one.parentFrame());
  await refused.waitForLoadState();
  holds(
    'another origin is shown nothing',
    !(await refused.content()).includes('Framed') && (await refused.locator('#app').count()) === 0,
  );
  await context.close();
}

/** Another language and other colours, at once and after a reload. */
export async function languageAndTheme({ console: it, world }) {
  const { page } = it;
  await it.go(`/t/${world.busy}/endpoints`);
  await it.button('common.language.choose').filter({ visible: true }).click();
  await page.getByRole('menuitemradio', { name: 'العربية' }).click();
  await page.getByRole('heading', { level: 1, name: text('endpoints.title', {}, 'ar') }).waitFor();
  const arabic = new Console(page, world, { language: 'ar' });
  await arabic.button('common.theme.choose').filter({ visible: true }).click();
  await arabic.by('menuitemradio', 'common.theme.dark').click();
  const now = () =>
    page.evaluate(() => [document.documentElement.lang, document.documentElement.dir, document.documentElement.dataset.theme]);
  same('now', await now(), ['ar', 'rtl', 'dark']);
  await page.reload();
  await settled(page);
  same('after a reload', await now(), ['ar', 'rtl', 'dark']);
  await page.getByRole('heading', { level: 1, name: text('endpoints.title', {}, 'ar') }).waitFor();
}

/** What is not there, and a server that does not answer, are said, with a way on. */
export async function trouble({ console: it, world }) {
  await it.go('/nowhere');
  await it.sees('common.not_found.title');
  await it.go(`/t/${world.busy}/endpoints/ep_nowhere`);
  await it.sees('common.error.status.404');
  const list = /\/v1\/tenants\/[^/]+\/endpoints(\?|$)/;
  const answer = { status: 503, contentType: 'application/problem+json', body: '{"status":503,"code":"unavailable"}' };
  await it.page.route(list, (route) => route.fulfill(answer));
  await it.go(`/t/${world.busy}/endpoints`);
  await it.sees('common.error.status.server');
  await it.page.unroute(list);
  await it.press('common.action.retry');
  await it.row('/noor/crm').waitFor();
}
