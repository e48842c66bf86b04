// What people do with the console, from end to end, in a real browser against a real Redial with a day of calls in it. Each part has
// a context, and mostly a tenant, of its own, and several go on at the same time. Must never skip the page and ask the API to do
// what a person would do; the API says what came of it.
import * as doors from './e2e/doors.mjs';
import * as failed from './e2e/failed.mjs';
import * as setup from './e2e/setup.mjs';
import * as waiting from './e2e/waiting.mjs';
import { launch, picture, reader, signIn } from './lib/browser.mjs';
import { Console } from './lib/console.mjs';
import { inParallel, suite } from './lib/report.mjs';
import { world as theWorld } from './lib/world.mjs';

// Contexts at a time.
const WIDTH = 3;

const PARTS = [
  [
    'the five steps: add an endpoint, subscribe with an agent filter, copy the secret, test with a sample, confirm receipt',
    setup.fiveSteps,
  ],
  ['a failed delivery is found by its call id, and says why', failed.findByCall],
  ['a failed delivery is replayed, arrives, and its progress survives a reload', failed.replay],
  ['dead letters are redriven by filter, counted first', failed.redrive],
  ['an endpoint is paused and what it missed is drained', failed.pauseAndDrain],
  ['a customer with a portal link sees their tenant and no other', doors.portal],
  ['the live tail shows what comes, and nothing moves while it is paused', failed.liveTail],
  ['an operator signs in, lands where they wanted to go, and signs out', doors.signIn, { asNobody: true }],
  ['a link to look only changes nothing and shows no secret', doors.readOnly, { asNobody: true }],
  ['the portal is shown in a frame of the page that may, and of no other', doors.framed, { asNobody: true }],
  ['mistakes in the form are said where they are, and a draft survives a reload', setup.mistakes],
  ['a test that fails says what the receiver said', setup.failedTest],
  ['the overview says what is being retried', waiting.retried],
  ['a held delivery says why, since when and what to do, and its endpoint that it recovers', waiting.held],
  ['what was kept back is sent at once, and once', waiting.released],
  ['tenants are asked about when they are on the screen, with one question each', waiting.tenants],
  ['a call is found without knowing its tenant', waiting.callOfSomebody],
  ['chosen types without a choice are not all types', setup.noneChosen],
  ['dead letters are discarded only with a typed word', failed.discard],
  ['language and colours are chosen at once and remembered', doors.languageAndTheme],
  ['what is not there or does not answer is said, with a way on', doors.trouble],
];

await suite('e2e', async (report) => {
  const world = theWorld();
  const browser = await launch();
  const chosen = process.argv.slice(2);
  const parts = PARTS.filter(([sentence]) => chosen.length === 0 || chosen.some((words) => sentence.includes(words)));
  try {
    await inParallel(parts, WIDTH, async ([sentence, part, { asNobody = false } = {}]) => {
      const { context, page, watch } = await reader(browser, world);
      const work = async () => {
        if (!asNobody) await signIn(page, world);
        await part({ console: new Console(page, world), page, context, browser, world });
      };
      const holds = await report.part(sentence, work, () => picture(page, sentence));
      if (holds) report.nothing(`and no script failed: ${sentence}`, watch.take(['error', 'policy', 'dialog']));
      await context.close();
    });
  } finally {
    await browser.close();
  }
});
