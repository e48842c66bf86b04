// Whether everybody can use it. axe-core finds nothing on any page, in three languages, light and dark; with Tab alone everything
// that can be done is reached, seen where it is, and left again; dialogs and menus keep the focus and give it back.
// Must never leave a rule of axe out to be green.
import { readFileSync } from 'node:fs';
import { DESKTOP, MISTAKES, colour, enterPortal, go, launch, reader, readers, required, settled, signIn } from './lib/browser.mjs';
import { come, leave, moments } from './lib/moments.mjs';
import { chosen, pages } from './lib/pages.mjs';
import { holds, inParallel, suite } from './lib/report.mjs';
import { LANGUAGES, pattern } from './lib/texts.mjs';
import { world as theWorld } from './lib/world.mjs';
import { walk } from './lib/walk.mjs';

const AXE = readFileSync(required.resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const COLOURS = ['light', 'dark'];
const DIRECTIONS = { en: 'ltr', ar: 'rtl', uz: 'ltr' };
const TURNED = ['overview', 'endpoint-settings', 'events', 'dead-letters'];
// Contexts that are gone through at a time.
const WIDTH = 2;

/** What axe finds on a page, one sentence for each element. */
async function axe(page, name) {
  if (await page.evaluate(() => globalThis.axe === undefined)) await page.evaluate(AXE);
  const found = await page.evaluate(
    (tags) => globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] }),
    TAGS,
  );
  return found.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${name}: ${rule.id}: ${node.target.join(' ')} ${node.failureSummary?.split('\n')[1]?.trim() ?? ''}`),
  );
}

/** What a page says of itself to those who do not see it. */
const told = (page) =>
  page.evaluate(() => ({
    language: document.documentElement.lang,
    direction: document.documentElement.dir,
    title: document.title,
    headings: document.querySelectorAll('h1').length,
    landmarks: document.querySelectorAll('main').length,
  }));

/** What axe finds as a page is now, light and then dark, into `wrong`. */
async function inColours(page, name, wrong) {
  for (const colorScheme of COLOURS) {
    await colour(page, colorScheme);
    wrong[colorScheme].push(...(await axe(page, name)));
  }
  await colour(page, 'light');
}

/** Every page in a language, light and dark. Gives how many were looked at. */
async function look(report, browser, world, all, language) {
  const doors = await readers(browser, world, { language });
  const wrong = { light: [], dark: [] };
  const untold = [];
  const missed = [];
  const titles = new Set();
  for (const { door, name, path } of all) {
    const { page } = doors[door];
    try {
      await go(page, path);
      await inColours(page, name, wrong);
      const said = await told(page);
      const isRight = said.language === language && said.direction === DIRECTIONS[language];
      if (!isRight || said.headings !== 1 || said.landmarks !== 1 || !said.title) untold.push(`${name}: ${JSON.stringify(said)}`);
      titles.add(said.title);
    } catch (error) {
      // The others are worth knowing all the same.
      missed.push(`${name}: ${error.message}`);
    }
  }
  const mistakes = [doors.nobody, doors.operator, doors.customer].flatMap(({ watch }) => watch.take(MISTAKES));
  await doors.close();
  const where = `${all.length} pages in ${language}`;
  report.nothing(`each is there: ${where}`, missed);
  for (const colours of COLOURS) report.nothing(`axe finds nothing on ${where}, ${colours}`, wrong[colours]);
  report.nothing(`each has its language, direction, title, main part and one h1: ${where}`, untold);
  report.check(`titles tell pages apart: ${where}`, titles.size > all.length / 3, [...titles]);
  report.nothing(`no errors on ${where}`, mistakes);
}

/** What pages show for a moment, in a language, light and dark. */
async function pass(report, browser, world, all, language) {
  const doors = await readers(browser, world, { language });
  const viewer = await reader(browser, world, { language });
  await enterPortal(viewer.page, world, world.busy, { read_only: true });
  const wrong = { light: [], dark: [] };
  const unkept = [];
  const missed = [];
  for (const moment of all) {
    const { page } = { ...doors, viewer }[moment.door];
    try {
      const opener = await come(page, moment, language);
      await inColours(page, moment.name, wrong);
      unkept.push(...(await leave(page, { viewport: DESKTOP }, opener)).map((sentence) => `${moment.name} ${sentence}`));
    } catch (error) {
      missed.push(`${moment.name}: ${error.message}`);
      await leave(page, { viewport: DESKTOP }, null);
    }
  }
  await viewer.context.close();
  await doors.close();
  const where = `${all.length} dialogs, menus, refusals and the like in ${language}`;
  report.nothing(`each is there: ${where}`, missed);
  for (const colours of COLOURS) report.nothing(`axe finds nothing in ${where}, ${colours}`, wrong[colours]);
  report.nothing(`what lies over a page closes with Esc and gives the focus back: ${where}`, unkept);
}

/** Tab through every page. */
async function keyboard(report, browser, world, all, language) {
  const doors = await readers(browser, world, { language });
  const wrong = [];
  let reached = 0;
  for (const { door, name, path } of all) {
    const { page } = doors[door];
    await go(page, path);
    const found = await walk(page);
    reached += found.reached;
    wrong.push(...found.wrong.map((sentence) => `${name}: ${sentence}`));
  }
  await doors.close();
  report.note(`Tab stopped at ${reached} places on ${all.length} pages in ${language}`);
  report.nothing(
    `everything is reached with Tab, seen when it has the focus, and left again: ${all.length} pages in ${language}`,
    wrong,
  );
}

const focused = (page) =>
  page.evaluate(() => ({
    inside: Boolean(document.activeElement?.closest('dialog, [role=menu]')),
    tag: document.activeElement?.tagName,
  }));

/** Opens a dialog with the keyboard alone, goes round in it, leaves with Esc: the focus is where it was. */
async function dialog(page, opener) {
  await opener.focus();
  await page.keyboard.press('Enter');
  const open = page.getByRole('dialog');
  await open.waitFor();
  await settled(page);
  const found = await axe(page, 'dialog');
  holds(`axe finds nothing in it: ${found.join('; ')}`, found.length === 0);
  for (let n = 0; n < 12; n += 1) {
    await page.keyboard.press('Tab');
    const { inside, tag } = await focused(page);
    holds(`the focus stays inside (${tag})`, inside || tag === 'BODY' || tag === 'HTML');
  }
  await page.keyboard.press('Escape');
  await open.waitFor({ state: 'hidden' });
  holds('the focus is back', await opener.evaluate((element) => element === document.activeElement));
}

/** That what is looked for would be seen. */
async function plants(report, page) {
  await go(page, '/sign-in');
  await page.evaluate(() => {
    const button = document.createElement('button');
    const pale = document.createElement('p');
    pale.textContent = 'pale';
    pale.style.color = '#888';
    pale.style.backgroundColor = '#999';
    document.querySelector('main').append(button, pale);
  });
  const found = (await axe(page, 'planted')).join('\n');
  for (const rule of ['button-name', 'color-contrast']) report.check(`a planted mistake is seen: ${rule}`, found.includes(rule), found);
}

async function overlays(report, browser, world) {
  const { context, page } = await reader(browser, world);
  await plants(report, page);
  await signIn(page, world);
  await go(page, '/');
  const make = page.getByRole('button', { name: pattern('tenants.make') });
  await report.part('the dialog of a new tenant keeps the focus and gives it back', () => dialog(page, make));
  await go(page, `/t/${world.busy}/dead-letters`);
  const redrive = page.getByRole('button', { name: pattern('dead-letters.redrive_all') });
  await report.part('so does the one of a redrive', () => dialog(page, redrive));
  await report.part('menus open with Enter, are gone through with arrows, close with Esc and give the focus back', async () => {
    for (const opener of await page.locator('button[aria-haspopup=menu]').all()) {
      if (!(await opener.isVisible())) continue;
      await opener.focus();
      await page.keyboard.press('Enter');
      holds('an entry has the focus', (await focused(page)).inside);
      const found = await axe(page, 'menu');
      holds(`axe finds nothing in it: ${found.join('; ')}`, found.length === 0);
      await page.keyboard.press('ArrowDown');
      holds('the arrow keeps it inside', (await focused(page)).inside);
      await page.keyboard.press('Escape');
      holds('the focus is back', await opener.evaluate((element) => element === document.activeElement));
    }
  });
  await report.part('what a message says can be read and put away while a dialog is open, and is not lost with it', async () => {
    await go(page, '/keys');
    await page.route('**/v1/session', (route) => (route.request().method() === 'DELETE' ? route.abort() : route.continue()));
    const leave = () => page.getByRole('button', { name: pattern('common.action.sign_out') }).first().click();
    const messages = (within) => within.getByRole('region', { name: pattern('common.toasts') }).getByRole('paragraph');
    const open = page.getByRole('dialog');
    await leave();
    await messages(page).waitFor();
    await page.getByRole('button', { name: pattern('keys.change') }).first().click();
    await messages(open).waitFor();
    await page.keyboard.press('Escape');
    await open.waitFor({ state: 'hidden' });
    await messages(page).waitFor();
    await page.getByRole('button', { name: pattern('keys.change') }).first().click();
    await open.getByRole('region', { name: pattern('common.toasts') }).getByRole('button', { name: pattern('common.action.close') }).click();
    await messages(open).waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await page.unrouteAll();
  });
  await report.part('the first Tab of a page is the way past its navigation', async () => {
    await go(page, `/t/${world.busy}/events`);
    await page.keyboard.press('Tab');
    await page
      .getByRole('link', { name: pattern('common.nav.skip') })
      .and(page.locator(':focus'))
      .waitFor();
    await page.keyboard.press('Enter');
    holds('the focus is in the main part', await page.evaluate(() => Boolean(document.activeElement?.closest('main'))));
  });
  await context.close();
}

await suite('a11y', async (report) => {
  const world = theWorld();
  const browser = await launch();
  try {
    const all = await pages(world);
    const brief = chosen(await moments(world));
    await overlays(report, browser, world);
    await inParallel(LANGUAGES, WIDTH, (language) => look(report, browser, world, all, language));
    await inParallel(LANGUAGES, WIDTH, (language) => pass(report, browser, world, brief, language));
    report.note(
      `${all.length} pages and ${brief.length} moments x ${LANGUAGES.length} languages x ${COLOURS.length} colours: ` +
        `${(all.length + brief.length) * LANGUAGES.length * COLOURS.length} times axe`,
    );
    // What is reached is the same in every language; that the order turns round is seen on some pages.
    const walked = all.filter(({ name }) => !name.endsWith('-empty'));
    const halves = [0, 1].map((odd) => walked.filter((_, n) => n % 2 === odd));
    const walks = [...halves.map((some) => ['en', some]), ['ar', walked.filter(({ name }) => TURNED.includes(name))]];
    await inParallel(walks, WIDTH, ([language, some]) => keyboard(report, browser, world, some, language));
  } finally {
    await browser.close();
  }
});
