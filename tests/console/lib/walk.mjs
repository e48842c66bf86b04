// Goes through a page with Tab alone, as somebody without a mouse does, and says what cannot be reached, is not seen when it has
// the focus, or keeps it. Must never focus anything but by the key.

// Presses beyond what there is to reach, before it is called a trap.
const MORE = 15;
// So many presses on the same spot are a trap: a field of a date has parts of its own.
const STUCK = 8;
// A page with more is gone through this far.
const MOST = 300;

/** In the page: remembers what can have the focus, and how it looks without. */
function remember() {
  const INTERACTIVE = 'a[href], button, input, select, textarea, summary, audio, video, [tabindex], [contenteditable=true]';
  const isThere = (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && element.checkVisibility({ visibilityProperty: true }) && !element.closest('[inert]');
  };
  // An open dialog is all that there is.
  const modal = document.querySelector('dialog:modal') ?? document;
  const isStop = (element) =>
    modal.contains(element) && element.matches(INTERACTIVE) && element.tabIndex >= 0 && !element.matches(':disabled') && isThere(element);
  const seen = new Map();
  const look = (element) =>
    [element, element.parentElement, element.parentElement?.parentElement, element.firstElementChild, element.nextElementSibling]
      .filter(Boolean)
      .map((node) => {
        const style = getComputedStyle(node);
        return [
          style.outline,
          style.outlineOffset,
          style.boxShadow,
          style.borderColor,
          style.backgroundColor,
          style.textDecorationLine,
        ].join();
      })
      .join(';');
  for (const element of document.querySelectorAll(INTERACTIVE)) {
    if (!isStop(element)) continue;
    // Of radio buttons one is a stop, the one that is chosen or else the first, and the arrows do the rest.
    if (element.type === 'radio' && element.name) {
      const group = [...modal.querySelectorAll('input[type=radio]')].filter(
        (one) => one.name === element.name && one.form === element.form && isStop(one),
      );
      if (element !== (group.find((one) => one.checked) ?? group[0])) continue;
    }
    seen.set(element, look(element));
  }
  const called = (element) => {
    const name = element.getAttribute('aria-label') || element.textContent.trim() || element.name || element.id;
    return `${element.tagName.toLowerCase()} "${name.replace(/\s+/g, ' ').slice(0, 60)}"`;
  };
  // What answers a click and cannot have the focus, nor holds or lies in something that can.
  const deaf = [...document.querySelectorAll('main *, header *, nav *')].filter((element) => {
    const listeners = Object.values(element).find(
      (value) => value && typeof value === 'object' && Object.keys(value).some((key) => /^click/i.test(key)),
    );
    const isNear = element.closest(INTERACTIVE) || element.closest('label') || element.querySelector(INTERACTIVE);
    return listeners && !isNear && isThere(element);
  });
  globalThis.walked = { seen, look, called, left: new Set(seen.keys()), stops: [...seen.keys()] };
  return { count: seen.size, deaf: deaf.map((element) => `${called(element)} answers a click and has no way by keyboard`) };
}

/** In the page: where the focus is now, and whether that can be seen. */
function where() {
  const { seen, look, called, left } = globalThis.walked;
  const element = document.activeElement;
  if (!element || element === document.body || element === document.documentElement) return { outside: true, left: left.size };
  const isNew = left.delete(element);
  const isSame = globalThis.walked.last === element;
  globalThis.walked.last = element;
  const box = element.getBoundingClientRect();
  const isInView = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const isMarked = !seen.has(element) || seen.get(element) !== look(element);
  return { isNew, isSame, isInView, isMarked, name: called(element), left: left.size };
}

/** Presses Tab until everything was reached or the page begins anew: `{reached, wrong}`. */
export async function walk(page) {
  await page.evaluate(() => {
    document.activeElement?.blur();
    getSelection()?.removeAllRanges();
    scrollTo(0, 0);
  });
  const { count, deaf } = await page.evaluate(remember);
  const wrong = [...deaf];
  const most = 2 * Math.min(count, MOST) + MORE;
  let reached = 0;
  let stuck = 0;
  let rounds = 0;
  let isThrough = false;
  for (let n = 0; n < most && !isThrough; n += 1) {
    await page.keyboard.press('Tab');
    const now = await page.evaluate(where);
    if (now.isNew) {
      reached += 1;
      if (!now.isMarked) wrong.push(`${now.name} does not look focused`);
      if (!now.isInView) wrong.push(`${now.name} has the focus outside of what is shown`);
    }
    stuck = now.isSame ? stuck + 1 : 0;
    if (stuck > STUCK) {
      wrong.push(`the focus does not leave ${now.name}`);
      break;
    }
    // The first round may have begun in the middle.
    if (now.outside) rounds += 1;
    isThrough = now.left === 0 || rounds > 2;
  }
  const missed =
    count > MOST
      ? []
      : await page.evaluate(() =>
          [...globalThis.walked.left].filter((element) => element.isConnected).map(globalThis.walked.called),
        );
  return { reached, wrong: [...wrong, ...missed.map((name) => `${name} is not reached`)] };
}
