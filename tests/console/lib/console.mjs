// The console as a test uses it: what there is to press, fill and read, found by role and by the name that people see, which is
// named by its key in the messages. Knows nothing of classes or of how a page is built.
import { go, settled } from './browser.mjs';
import { pattern, text } from './texts.mjs';

/** A page of the console in somebody's hands. */
export class Console {
  /** `within` narrows everything to a part of the page, as a dialog. */
  constructor(page, world, { language = 'en', within = page } = {}) {
    Object.assign(this, { page, world, language, within });
  }

  /** The same, inside of something. */
  inside(within) {
    return new Console(this.page, this.world, { language: this.language, within });
  }

  go(path) {
    return go(this.page, path);
  }

  settled() {
    return settled(this.page);
  }

  /** The text of a key. */
  text(key, values) {
    return text(key, values, this.language);
  }

  /** What matches the text of a key. */
  says(key, values, wish = {}) {
    return pattern(key, values, { language: this.language, ...wish });
  }

  by(role, key, values, wish = {}) {
    return this.within.getByRole(role, { name: this.says(key, values), ...wish });
  }

  button(key, values) {
    return this.by('button', key, values);
  }

  link(key, values) {
    return this.by('link', key, values);
  }

  tab(key, values) {
    // A tab may have a number behind its word.
    return this.within.getByRole('tab', { name: this.says(key, values, { ends: false }) });
  }

  heading(key, values) {
    return this.by('heading', key, values);
  }

  /** A field by its label; it may be marked as optional. */
  field(key, values) {
    const label = this.says(key, values, { ends: false }).source;
    const optional = this.says('common.field.optional').source.replace(/^\^|\$$/g, '');
    return this.within.getByLabel(new RegExp(`${label}(${optional})?\\s*$`));
  }

  /** A choice: a checkbox or a radio button. */
  choice(role, key, values) {
    return this.by(role, key, values);
  }

  /** The open dialog. */
  dialog() {
    return this.inside(this.page.getByRole('dialog'));
  }

  /** Presses what a key names, and waits for what comes of it. */
  async press(key, values) {
    await this.button(key, values).click();
    await this.settled();
  }

  async follow(key, values) {
    await this.link(key, values).click();
    await this.settled();
  }

  async fill(key, value) {
    await this.field(key).fill(value);
  }

  /** Types a word into a field of words, and takes it with Enter. */
  async tag(key, word) {
    // A choice may have the same name.
    const field = this.field(key).and(this.page.locator('input[type=text]'));
    await field.fill(word);
    await field.press('Enter');
  }

  /** Waits until a text is there to be read. */
  async sees(key, values) {
    await this.within.getByText(this.says(key, values)).filter({ visible: true }).first().waitFor();
  }

  /** Waits until somebody's own words are there. */
  async reads(words) {
    await this.within.getByText(words, { exact: false }).filter({ visible: true }).first().waitFor();
  }

  /** A row of a list, by words in it. */
  row(words) {
    return this.within.getByRole('row').filter({ hasText: words });
  }

  /** How many times a text is there. */
  async count(key, values) {
    return this.within.getByText(this.says(key, values)).filter({ visible: true }).count();
  }
}
