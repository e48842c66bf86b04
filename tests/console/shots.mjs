// A picture of every page: light, dark, in Arabic, on a phone; into the folder that CONSOLE_SHOTS names. On the way it looks for
// what pictures would show: a page wider than its screen, text that is not translated, errors. Must never keep a picture of a page
// that is still loading.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DESKTOP, MISTAKES, PHONE, TOOLS, WIDE, colour, go, launch, readers, settled } from './lib/browser.mjs';
import { pages } from './lib/pages.mjs';
import { inParallel, suite } from './lib/report.mjs';
import { messages } from './lib/texts.mjs';
import { world as theWorld } from './lib/world.mjs';

const FOLDER = process.env.CONSOLE_SHOTS ?? join(TOOLS, 'shots');
// The tallest picture, in pixels: long lists say nothing new further down.
const MOST_HIGH = 1800;
const QUALITY = 80;
const WIDTH = 2;
// Of each language: what a page is looked at like, and what it is pictured as.
const LOOKS = {
  en: [
    { as: 'light', viewport: DESKTOP },
    { as: 'dark', viewport: DESKTOP, dark: true },
    { viewport: WIDE },
    { as: 'phone', viewport: PHONE },
  ],
  ar: [{ as: 'arabic', viewport: DESKTOP }, { viewport: WIDE }, { viewport: PHONE }],
  uz: [{ viewport: DESKTOP }, { viewport: PHONE }],
};
const PICTURES = Object.values(LOOKS).flatMap((looks) => looks.flatMap(({ as }) => as ?? []));
// Shorter texts are names that languages share.
const SHORTEST = 12;

/** English texts that have another form in this language. */
function foreign(language) {
  if (language === 'en') return [];
  const own = messages(language);
  const isWhole = (text) => text.length >= SHORTEST && !text.includes('{');
  return [...messages('en')].filter(([key, text]) => isWhole(text) && own.get(key) !== text).map(([, text]) => text);
}

/** How far a page is wider than its screen, and by what. */
const overflow = (page) =>
  page.evaluate(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return null;
    const isOut = (element) => {
      const box = element.getBoundingClientRect();
      return box.width > 0 && (box.right > root.clientWidth + 1 || box.left < -1);
    };
    const widest = [...document.body.querySelectorAll('*')].filter(isOut).slice(0, 3);
    return `${root.scrollWidth - root.clientWidth} px: ${widest.map((element) => `${element.tagName}.${element.className}`).join(', ')}`;
  });

/** The page as a whole, as if the window were as high as it. WebP, which takes a quarter of PNG's room: they are committed. */
async function picture(page, file) {
  const { width, height } = page.viewportSize();
  const needed = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width, height: Math.min(Math.max(needed, height), MOST_HIGH) });
  await settled(page);
  const session = await page.context().newCDPSession(page);
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: QUALITY });
  await session.detach();
  writeFileSync(file, Buffer.from(data, 'base64'));
}

/** Every page in a language, in every way that it is looked at. */
async function shoot(report, browser, world, all, language) {
  const doors = await readers(browser, world, { language });
  const [wide, untranslated] = [[], []];
  const english = foreign(language);
  for (const { door, name, path } of all) {
    const { page } = doors[door];
    await page.setViewportSize(DESKTOP);
    await go(page, path);
    for (const { as, viewport, dark = false } of LOOKS[language]) {
      await page.setViewportSize(viewport);
      await colour(page, dark ? 'dark' : 'light');
      await settled(page);
      const over = await overflow(page);
      if (over) wide.push(`${name} at ${viewport.width}: ${over}`);
      if (as) await picture(page, join(FOLDER, `${name}-${as}.webp`));
    }
    const said = new Set((await page.evaluate(() => document.body.innerText)).split('\n').map((line) => line.trim()));
    untranslated.push(...english.filter((text) => said.has(text)).map((text) => `${name}: ${text}`));
  }
  const mistakes = [doors.nobody, doors.operator, doors.customer].flatMap(({ watch }) => watch.take(MISTAKES));
  await doors.close();
  const widths = [...new Set(LOOKS[language].map(({ viewport }) => viewport.width))].join(', ');
  report.nothing(`no page is wider than its screen (${language}; ${widths} px)`, wide);
  if (language !== 'en') report.nothing(`no English is left (${language})`, untranslated);
  report.nothing(`no errors (${language})`, mistakes);
}

await suite('shots', async (report) => {
  const world = theWorld();
  mkdirSync(FOLDER, { recursive: true });
  const browser = await launch();
  try {
    const all = await pages(world);
    for (const { name } of all) for (const as of PICTURES) rmSync(join(FOLDER, `${name}-${as}.webp`), { force: true });
    await inParallel(Object.keys(LOOKS), WIDTH, (language) => shoot(report, browser, world, all, language));
    report.note(`${all.length * PICTURES.length} pictures of ${all.length} pages are in ${FOLDER}`);
  } finally {
    await browser.close();
  }
});
