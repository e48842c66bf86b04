// Texts in the reader's language, from messages/<language>/<area>.json. A key without a text falls back to English, and a key
// without any shows itself. It never puts markup into a text: `rich` takes nodes.
import { store, useStore } from './store.js';
import { useEffect } from './preact.js';

export const LANGUAGES = [
  { code: 'en', name: 'English', dir: 'ltr' },
  { code: 'ar', name: 'العربية', dir: 'rtl' },
  { code: 'uz', name: 'O‘zbekcha', dir: 'ltr' },
];
const FALLBACK = 'en';
const REMEMBERED = 'redial.language';
const ISOLATE = '\u2068';
const POP = '\u2069';
// Hebrew, Arabic and their presentation forms, and marks that turn text round.
const TURNS = /[\u0590-\u08ff\u200f\u202b\u202e\u2067\ufb1d-\ufdff\ufe70-\ufefc]/;

const current = store(FALLBACK);
/** language -> area -> key -> text */
const texts = new Map();
const areas = new Set();
let read = readMessages;

async function readMessages(language, area) {
  const response = await fetch(new URL(`../messages/${language}/${area}.json`, import.meta.url));
  if (!response.ok) throw new Error(`no messages ${language}/${area}: ${response.status}`);
  return response.json();
}

/** Where messages come from instead of the server: for tests. */
export function setReader(reader) {
  read = reader;
  texts.clear();
  areas.clear();
}

const known = (code) => LANGUAGES.find((language) => language.code === code);

/** The first of these wishes ('ar-SA', 'uz', ..) that we speak; else English. */
export function pick(wishes) {
  for (const wish of wishes) {
    const language = known(String(wish ?? '').toLowerCase().split(/[-_]/)[0]);
    if (language) return language.code;
  }
  return FALLBACK;
}

async function loadOne(language, area) {
  if (!texts.has(language)) texts.set(language, new Map());
  const ofLanguage = texts.get(language);
  if (ofLanguage.has(area)) return;
  try {
    ofLanguage.set(area, await read(language, area));
  } catch (error) {
    // English stands in for a translation that did not arrive; the next switch tries again.
    if (language === FALLBACK) console.warn('messages.missing', area, error.message);
  }
}

/** Makes the texts of some areas ready, in the language of now (and English, if one is missing). */
export async function loadAreas(names) {
  for (const name of names) areas.add(name);
  const language = current.get();
  await Promise.all(names.map((area) => loadOne(language, area)));
  const lacking = language === FALLBACK ? [] : names.filter((area) => !texts.get(language)?.has(area));
  await Promise.all(lacking.map((area) => loadOne(FALLBACK, area)));
}

/** The language of now: 'en', 'ar', 'uz'. */
export const language = () => current.get();
/** Its direction: 'ltr', 'rtl'. */
export const dir = () => known(current.get()).dir;

/** Switches, once its texts are there. `remember`: true: for this browser; 'tab': for this tab alone; false: not at all. */
export async function setLanguage(code, { remember = true } = {}) {
  const wanted = pick([code]);
  await Promise.all([...areas].map((area) => loadOne(wanted, area)));
  const lacking = [...areas].filter((area) => !texts.get(wanted)?.has(area));
  await Promise.all(lacking.map((area) => loadOne(FALLBACK, area)));
  if (remember) remembered(wanted, remember === 'tab');
  current.set(wanted);
  if (typeof document !== 'undefined') {
    document.documentElement.lang = wanted;
    document.documentElement.dir = dir();
  }
}

function remembered(code, tab = false) {
  try {
    if (tab) sessionStorage.setItem(REMEMBERED, code);
    else if (code !== undefined) {
      localStorage.setItem(REMEMBERED, code);
      sessionStorage.removeItem(REMEMBERED);
    }
    return sessionStorage.getItem(REMEMBERED) ?? localStorage.getItem(REMEMBERED);
  } catch {
    return null; // storage may be forbidden in an iframe
  }
}

/** What the reader chose last, else what the browser says. */
export function wantedLanguage() {
  return pick([remembered(), ...(navigator.languages ?? [navigator.language])]);
}

function entry(language, key) {
  const dot = key.indexOf('.');
  return texts.get(language)?.get(key.slice(0, dot))?.[key.slice(dot + 1)];
}

const plurals = new Map();
/** 'one', 'few', .. of a number in a language; without data for it: one, or other. */
export function pluralOf(language, n) {
  if (!plurals.has(language)) {
    const supported = Intl.PluralRules.supportedLocalesOf([language]).length > 0;
    plurals.set(language, supported ? new Intl.PluralRules(language) : null);
  }
  return plurals.get(language)?.select(n) ?? (n === 1 ? 'one' : 'other');
}

function lookUp(language, key, params) {
  if (typeof params.n === 'number') {
    const plural = entry(language, `${key}.${pluralOf(language, params.n)}`) ?? entry(language, `${key}.other`);
    if (plural !== undefined) return plural;
  }
  return entry(language, key);
}

function textOf(key, params) {
  const own = lookUp(current.get(), key, params);
  if (own !== undefined) return own;
  const english = lookUp(FALLBACK, key, params);
  if (english === undefined) lacking(key);
  return english ?? key;
}

// English is fetched for the area of a text that has no translation, once; then all is drawn again.
function lacking(key) {
  const area = key.slice(0, key.indexOf('.'));
  const asked = !areas.has(area) || texts.get(FALLBACK)?.has(area) || current.get() === FALLBACK;
  if (asked) console.warn('messages.unknown_key', key);
  else loadOne(FALLBACK, area).then(() => texts.get(FALLBACK).has(area) && current.set(current.get()));
}

/** Whether there is a text for this key (without plural forms) in this language or in English. */
export const has = (key) => entry(current.get(), key) !== undefined || entry(FALLBACK, key) !== undefined;

function shown(value) {
  if (typeof value === 'number') return formatNumber(value);
  const text = String(value);
  // Somebody's words inside of ours keep their own direction.
  return dir() === 'rtl' || TURNS.test(text) ? ISOLATE + text + POP : text;
}

let formatNumber = String;
/** format.js tells how numbers are written; kept apart so that neither imports the other in a circle. */
export function setNumberFormat(format) {
  formatNumber = format;
}

/**
 * The text of a key, as `t('endpoints.deleted', {name})`. A number `n` chooses the plural form (`key.one`, `key.other`, ..).
 * @param {string} key area, a dot, the key within messages/<language>/<area>.json
 * @param {Record<string, string|number>} [params]
 */
export function t(key, params = {}) {
  return textOf(key, params).replace(/\{(\w+)\}/g, (whole, name) => (name in params ? shown(params[name]) : whole));
}

/** As `t`, with nodes for some placeholders: an array for html`..`. */
export function rich(key, params = {}) {
  return textOf(key, params)
    .split(/(\{\w+\})/)
    .map((part) => {
      const name = /^\{(\w+)\}$/.exec(part)?.[1];
      if (name === undefined || !(name in params)) return part;
      const value = params[name];
      return value !== null && typeof value === 'object' ? value : shown(value);
    });
}

/** Draws the component again when the language changes. */
export const useLanguage = () => useStore(current);

/** Loads an area that the page's `areas` does not name; draws again when it is there. Returns `t`. */
export function useMessages(area) {
  useLanguage();
  useEffect(() => {
    if (!areas.has(area)) loadAreas([area]).then(() => current.set(current.get()));
  }, [area]);
  return t;
}
