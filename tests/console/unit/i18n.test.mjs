// Texts: languages, plural forms, placeholders, directions, what is missing.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { dir, has, language, loadAreas, pick, pluralOf, rich, setLanguage, setReader, t } from '../../../functions/api/console/lib/i18n.js';
import '../../../functions/api/console/lib/format.js';

const TEXTS = {
  'en/box': { hello: 'Hello {name}', 'left.one': '{n} left', 'left.other': '{n} are left', only: 'English alone', twice: '{a}{a}' },
  'ar/box': {
    hello: 'أهلًا {name}', 'left.zero': 'لا شيء', 'left.one': 'واحد', 'left.two': 'اثنان', 'left.few': '{n} قليل', 'left.many': '{n} كثير',
    'left.other': '{n} غير ذلك',
  },
  'uz/box': { hello: 'Salom {name}', 'left.one': '{n} ta qoldi', 'left.other': '{n} ta qoldi' },
};

beforeEach(async () => {
  setReader(async (code, area) => {
    const texts = TEXTS[`${code}/${area}`];
    if (!texts) throw new Error('404');
    return texts;
  });
  await setLanguage('en', { remember: false });
  await loadAreas(['box']);
});

test('the first wish that the console speaks wins, else English', () => {
  assert.equal(pick([null, 'fr', 'ar-SA', 'en']), 'ar');
  assert.equal(pick(['uz_Latn_UZ']), 'uz');
  assert.equal(pick(['xx', '']), 'en');
  assert.equal(pick([]), 'en');
});

test('numbers choose their plural form in each language', async () => {
  assert.equal(t('box.left', { n: 1 }), '1 left');
  assert.equal(t('box.left', { n: 0 }), '0 are left');
  await setLanguage('ar', { remember: false });
  assert.deepEqual([0, 1, 2, 3, 11, 100].map((n) => t('box.left', { n })), ['لا شيء', 'واحد', 'اثنان', '3 قليل', '11 كثير', '100 غير ذلك']);
  assert.equal(pluralOf('ar', 103), 'few');
});

test('numbers are written as the language does', async () => {
  assert.match(t('box.left', { n: 12345 }), /^12[,.]345 are left$/);
  await setLanguage('ar', { remember: false });
  assert.match(t('box.left', { n: 12345 }), /^12,345 /);
});

test('a missing text falls back to English, and a missing key shows itself', async () => {
  await setLanguage('uz', { remember: false });
  assert.equal(language(), 'uz');
  assert.equal(t('box.only'), 'English alone');
  assert.equal(t('box.nothing'), 'box.nothing');
  assert.equal(has('box.only'), true);
  assert.equal(has('box.nothing'), false);
});

test('English comes by itself for a text that is not translated', async () => {
  setReader(async (code, area) => TEXTS[`${code}/${area}`]);
  await setLanguage('uz', { remember: false });
  await loadAreas(['box']);
  assert.equal(t('box.only'), 'box.only');
  await new Promise(setImmediate);
  assert.equal(t('box.only'), 'English alone');
});

test('what stands in a placeholder is never read as a placeholder', () => {
  assert.equal(t('box.hello', { name: '{n}$&{name}' }), 'Hello {n}$&{name}');
  assert.equal(t('box.twice', { a: 'x' }), 'xx');
  assert.equal(t('box.hello'), 'Hello {name}');
});

test('words of somebody else keep their own direction', async () => {
  assert.equal(t('box.hello', { name: 'Acme' }), 'Hello Acme');
  assert.equal(t('box.hello', { name: 'شركة' }), 'Hello \u2068شركة\u2069');
  assert.equal(t('box.hello', { name: '\u202eevil' }), 'Hello \u2068\u202eevil\u2069');
  await setLanguage('ar', { remember: false });
  assert.equal(dir(), 'rtl');
  assert.equal(t('box.hello', { name: 'Acme' }), 'أهلًا \u2068Acme\u2069');
});

test('nodes stand where their placeholders are', () => {
  const node = { type: 'b' };
  assert.deepEqual(rich('box.hello', { name: node }), ['Hello ', node, '']);
  assert.deepEqual(rich('box.twice', { a: 'x' }).join(''), 'xx');
});
