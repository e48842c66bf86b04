// Texts of the console: every language has the same keys and placeholders and all its plural forms; code uses no key that is not
// there, and there is no key that nothing uses (a key that is put together is a pattern: the template itself, or a comment
// `messages: area.part.*`); a page names the areas that it needs. Input: none. Status 1 and a line for each
// fault; 0 if there is none.
import { closure, files, modules, read } from './sources.mjs';

const ENGLISH = 'en';
const LANGUAGES = ['en', 'ar', 'uz'];
const CATEGORIES = ['zero', 'one', 'two', 'few', 'many', 'other'];
const faults = [];
const fault = (where, what) => faults.push(`${where}: ${what}`);

/** area -> language -> Map(base key -> {forms: {'' or category: text}}) */
const areas = new Map();

function load() {
  for (const path of files('.json').filter((file) => file.startsWith('messages/'))) {
    const [, language, name] = path.split('/');
    const area = name.replace(/\.json$/, '');
    if (!LANGUAGES.includes(language)) fault(path, 'a language that the console does not speak');
    if (!areas.has(area)) areas.set(area, {});
    let texts = {};
    try {
      texts = JSON.parse(read(path));
    } catch (error) {
      fault(path, `no JSON: ${error.message}`);
    }
    areas.get(area)[language] = bases(texts);
  }
}

// 'x.one' and 'x.other' are forms of 'x'; 'x.one' without 'x.other' is a key of its own.
function bases(texts) {
  const found = new Map();
  for (const [key, text] of Object.entries(texts)) {
    const dot = key.lastIndexOf('.');
    const [stem, ending] = [key.slice(0, dot), key.slice(dot + 1)];
    const plural = dot > 0 && CATEGORIES.includes(ending) && `${stem}.other` in texts;
    const base = plural ? stem : key;
    if (!found.has(base)) found.set(base, {});
    found.get(base)[plural ? ending : ''] = text;
  }
  return found;
}

const placeholders = (forms) => [...new Set(Object.values(forms).flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort().join(' ');

function checkText(where, language, forms) {
  for (const [form, text] of Object.entries(forms)) {
    const name = form === '' ? where : `${where}.${form}`;
    if (typeof text !== 'string' || text.trim() === '') fault(name, 'empty');
    else if (/[!！]/.test(text)) fault(name, 'an exclamation mark');
    else if (/<\/?[a-z]/i.test(text)) fault(name, 'markup: texts are text, nodes go through rich()');
    if (language === 'uz' && /[oOgG]['`’ʻʼ]/.test(text)) fault(name, 'o‘ and g‘ are written with U+2018');
  }
  if ('other' in forms) {
    const wanted = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
    const lacking = wanted.filter((category) => !(category in forms));
    if (lacking.length > 0) fault(where, `lacks the forms ${lacking.join(', ')}`);
    if ('' in forms) fault(where, 'has plural forms and a text without one');
  }
}

// Two words or more that are the same in both languages were most likely not translated.
function looksEnglish(text, english) {
  const words = text.replace(/\{\w+\}/g, ' ').match(/[A-Za-z]{2,}/g) ?? [];
  return text === english && words.length > 2;
}

function checkArea(area, languages) {
  const english = languages[ENGLISH] ?? new Map();
  for (const language of LANGUAGES) {
    const own = languages[language];
    if (!own) {
      fault(`messages/${language}/${area}.json`, 'missing');
      continue;
    }
    for (const base of english.keys()) if (!own.has(base)) fault(`${language} ${area}.${base}`, 'missing');
    for (const [base, forms] of own) {
      const where = `${language} ${area}.${base}`;
      checkText(where, language, forms);
      const original = english.get(base);
      if (!original) fault(where, 'not in English');
      else if (placeholders(original) !== placeholders(forms)) fault(where, `placeholders ${placeholders(forms)}, in English ${placeholders(original)}`);
      else if (language !== ENGLISH && '' in forms && looksEnglish(forms[''], original[''])) fault(where, 'is still English');
    }
  }
}

const exists = (key) => {
  const dot = key.indexOf('.');
  return areas.get(key.slice(0, dot))?.[ENGLISH]?.has(key.slice(dot + 1)) ?? false;
};

// The first argument of each call of t, rich or has, to the comma or bracket that ends it.
function* callsIn(text) {
  for (const call of text.matchAll(/(?<![\w.$])(t|rich|has)\(/g)) {
    let depth = 0;
    let quote = '';
    let at = call.index + call[0].length;
    const from = at;
    for (; at < text.length; at += 1) {
      const sign = text[at];
      if (quote !== '') {
        if (sign === '\\') at += 1;
        else if (sign === quote) quote = '';
      } else if (`'"\``.includes(sign)) quote = sign;
      else if ('([{'.includes(sign)) depth += 1;
      else if (depth === 0 && ',)'.includes(sign)) break;
      else if (')]}'.includes(sign)) depth -= 1;
    }
    yield text.slice(from, at);
  }
}

/** 'a.*_title' -> an expression: a star is any text within a key. */
const expression = (pattern) => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[\\w.-]+')}$`);

// Literals that are compared or look something up are no keys.
const KEY = /(?<![=!]==?\s*)['"]([a-z][\w-]*\.[\w.-]+)['"]/g;
const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');

function readCode() {
  const perFile = new Map();
  const used = new Set();
  const patterns = new Set();
  for (const path of modules()) {
    const text = read(path);
    const needs = new Set();
    const own = [...text.matchAll(/messages:\s*([^*]*(?:\*(?!\/)[^*]*)*)\*\//g)].flatMap((found) => found[1].match(/[\w-]+\.[\w.*-]*\*[\w.*-]*/g) ?? []);
    for (const pattern of own) {
      patterns.add(pattern);
      needs.add(pattern.split('.')[0]);
    }
    const code = withoutComments(text);
    for (const argument of callsIn(code)) {
      for (const [, key] of argument.matchAll(KEY)) {
        if (!exists(key)) fault(path, `no text for ${key}`);
        used.add(key);
        needs.add(key.split('.')[0]);
      }
      for (const [, template] of argument.matchAll(/`([a-z][\w-]*\.[^`]*\$\{[^`]*)`/g)) {
        // The template is its own pattern, unless nothing but the area is known of it.
        const pattern = template.replace(/\$\{[^}]*\}/g, '*');
        needs.add(pattern.split('.')[0]);
        if (!/^[\w-]+\.\*+$/.test(pattern)) patterns.add(pattern);
        else if (!own.some((told) => told.startsWith(pattern.split('*')[0]))) fault(path, `say which keys: /* messages: ${pattern} */`);
      }
    }
    for (const [, key] of code.matchAll(/['"`]([a-z][\w-]*\.[\w.-]+)['"`]/g)) {
      if (!exists(key)) continue;
      used.add(key);
    }
    perFile.set(path, needs);
  }
  return { perFile, used, patterns };
}

function checkUse({ perFile, used, patterns }) {
  const all = [...areas].flatMap(([area, languages]) => [...(languages[ENGLISH]?.keys() ?? [])].map((base) => `${area}.${base}`));
  const expected = new Map([...patterns].map((pattern) => [pattern, expression(pattern)]));
  for (const [pattern, fits] of expected) if (!all.some((key) => fits.test(key))) fault(`messages: ${pattern}`, 'no such keys');
  for (const [area, languages] of areas) {
    for (const base of languages[ENGLISH]?.keys() ?? []) {
      const key = `${area}.${base}`;
      if (!used.has(key) && ![...expected.values()].some((fits) => fits.test(key))) fault(key, 'nothing uses it');
    }
  }
  for (const path of perFile.keys()) {
    if (!/^pages\/[^/]+\.js$/.test(path)) continue;
    const named = /export const areas = \[([^\]]*)\]/.exec(read(path));
    if (!named) {
      fault(path, 'no `export const areas`');
      continue;
    }
    const own = new Set([...named[1].matchAll(/['"]([^'"]+)['"]/g)].map((found) => found[1]));
    const needed = new Set(closure(path, { later: true }).flatMap((file) => [...(perFile.get(file) ?? [])]).filter((area) => areas.has(area) && area !== 'common'));
    for (const area of needed) if (!own.has(area)) fault(path, `uses texts of ${area}, which its areas do not name`);
    for (const area of own) if (!areas.has(area)) fault(path, `names the area ${area}, which has no messages`);
  }
}

load();
for (const [area, languages] of areas) checkArea(area, languages);
checkUse(readCode());
for (const line of faults) console.log(line);
const keys = [...areas.values()].reduce((sum, languages) => sum + (languages[ENGLISH]?.size ?? 0), 0);
console.log(`${areas.size} areas, ${keys} keys, ${LANGUAGES.length} languages: ${faults.length === 0 ? 'in order' : `${faults.length} faults`}`);
process.exitCode = faults.length === 0 ? 0 : 1;
