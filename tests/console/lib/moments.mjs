// What pages show for a moment: dialogs, menus, the drawer of a phone, refusals, no connection. Each by the way that leads to it,
// pressed by key, in any language. Must never change anything: what would is answered before it leaves the browser.
import { PHONE, go, settled } from './browser.mjs';
import { things } from './pages.mjs';
import { pattern } from './texts.mjs';

/** A refusal as the API words it. */
const refusal = (status, code) => ({
  status,
  contentType: 'application/problem+json',
  body: JSON.stringify({ type: 'about:blank', title: 'Refused', status, code, detail: 'refused for the test' }),
});

/** Answers what a page asks of the API from now on, but who is asking; `answer` of null: there is no connection. */
async function refuse(page, answer) {
  await page.route('**/v1/**', (route) => {
    if (new URL(route.request().url()).pathname === '/v1/session' && route.request().method() === 'GET') return route.continue();
    return answer === null ? route.abort() : route.fulfill(answer);
  });
}

/** Presses the button that a key names, and in the menu that it opens the entry that `then` names: `{opener}` has the focus first. */
const presses =
  (key, then = null) =>
  async (page, language) => {
    const opener = page.getByRole('button', { name: pattern(key, {}, { language }) }).first();
    await opener.focus();
    await page.keyboard.press('Enter');
    if (then) await page.getByRole('menuitem', { name: pattern(then, {}, { language }) }).click();
    return opener;
  };

/** The moments: `name`, `door` and `path` of the page, and `come`, which leads there and gives what gets the focus back. */
export async function moments(world) {
  const of = await things(world);
  const busy = `/t/${world.busy}`;
  const endpoint = (id, tab = '') => `${busy}/endpoints/${id}${tab && `?tab=${tab}`}`;
  const over = [
    ['tenant-make', '/', presses('tenants.make')],
    ['key-change', '/keys', presses('keys.change')],
    ['key-revoke', '/keys', presses('keys.revoke')],
    ['language-menu', '/keys', presses('common.language.choose')],
    ['theme-menu', '/keys', presses('common.theme.choose')],
    ['data-key-rotate', '/data-keys', presses('data-keys.rotate')],
    ['event-menu', `${busy}/events/${of.event}`, presses('events.more')],
    ['event-why', `${busy}/events/${of.event}`, presses('events.more', 'events.why.title')],
    ['event-erase', `${busy}/events/${of.event}`, presses('events.more', 'events.erase.event.open')],
    ['event-resend', `${busy}/events/${of.event}`, presses('deliveries.resend.all')],
    ['delivery-resend', `${busy}/deliveries/${of.delivery}`, presses('deliveries.resend.one')],
    ['delivery-curl', `${busy}/deliveries/${of.delivery}`, presses('deliveries.curl.open')],
    ['call-replay', `${busy}/calls/${of.call}`, presses('calls.replay.title')],
    ['dead-letters-redrive', `${busy}/dead-letters`, presses('dead-letters.redrive_all')],
    ['dead-letters-discard', `${busy}/dead-letters`, presses('dead-letters.discard_all')],
    ['endpoint-pause', endpoint(of.healthy), presses('endpoint.pause')],
    ['endpoint-resume', endpoint(of.paused), presses('endpoint.resume')],
    ['endpoint-activate', endpoint(of.inactive), presses('endpoint.activate')],
    ['endpoint-rotate', endpoint(of.healthy, 'settings'), presses('endpoint.rotate')],
    ['endpoint-delete', endpoint(of.healthy, 'settings'), presses('endpoint.delete')],
    ['tenant-erase', `${busy}/settings`, presses('settings.erase_tenant')],
    ['tenant-switch', busy, async (page) => {
      const opener = page.locator('button[aria-haspopup=dialog]').first();
      await opener.focus();
      await page.keyboard.press('Enter');
      return opener;
    }],
    ['phone-menu', busy, async (page, language) => {
      await page.setViewportSize(PHONE);
      return presses('common.nav.open')(page, language);
    }],
  ];
  const found = over.map(([name, path, come]) => ({ name, door: 'operator', path, come, isOver: true }));
  const states = [
    ['operator', 'phone-events', `${busy}/events`, null, (page) => page.setViewportSize(PHONE)],
    ['operator', 'broken-tenants', '/', refusal(500, 'internal')],
    ['operator', 'broken-overview', busy, refusal(503, 'unavailable')],
    ['operator', 'broken-endpoints', `${busy}/endpoints`, refusal(500, 'internal')],
    ['operator', 'broken-events', `${busy}/events`, refusal(429, 'rate_limited')],
    ['operator', 'broken-event', `${busy}/events/${of.event}`, refusal(403, 'source_not_allowed')],
    ['operator', 'broken-settings', `${busy}/settings`, refusal(500, 'internal')],
    ['operator', 'unconnected', `${busy}/deliveries`, undefined],
    ['viewer', 'viewer-endpoint', endpoint(of.healthy, 'settings'), null],
    ['viewer', 'viewer-event', `${busy}/events/${of.event}`, null],
    ['nobody', 'portal-over', '/portal#rdp_over', null],
    ['nobody', 'sign-in-refused', '/sign-in', null, async (page, language) => {
      await page.getByRole('button', { name: pattern('common.action.sign_in', {}, { language }) }).click();
      await page.locator('.field-error').waitFor();
    }],
    ['operator', 'toast', '/keys', null, async (page, language) => {
      await refuse(page, refusal(500, 'internal'));
      await page.getByRole('button', { name: pattern('common.action.sign_out', {}, { language }) }).first().click();
      await page.locator('.toast').waitFor();
    }],
  ];
  for (const [door, name, path, answer, more] of states) {
    const before = answer === null ? null : (page) => refuse(page, answer ?? null);
    found.push({ name, door, path, before, come: more ?? (() => null), isOver: false });
  }
  return found;
}

/** Brings a page to a moment; gives the element that had the focus, if something lies over the page now. */
export async function come(page, moment, language) {
  if (moment.before) await moment.before(page);
  await go(page, moment.path);
  const opener = await moment.come(page, language);
  if (moment.isOver) await page.locator('dialog:modal, [role=menu]').first().waitFor();
  await settled(page);
  return moment.isOver ? opener : null;
}

/** Leaves it; says what is wrong: whatever lay over the page closes with Esc and gives the focus back. */
export async function leave(page, { viewport }, opener) {
  const wrong = [];
  if (opener) {
    await page.keyboard.press('Escape');
    const isClosed = await page.locator('dialog:modal, [role=menu]').first().waitFor({ state: 'detached' }).then(() => true, () => false);
    if (!isClosed) wrong.push('does not close with Esc');
    else if (!(await opener.evaluate((element) => element === document.activeElement))) wrong.push('does not give the focus back');
  }
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await page.setViewportSize(viewport);
  return wrong;
}
