// The console's texts, as it reads them: functions/api/console/messages. Tests name what they press by key, so that a changed
// text changes the test with it and a lost one breaks it, aloud. Must never hold a text of its own.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const MESSAGES = fileURLToPath(new URL('../../../functions/api/console/messages/', import.meta.url));
export const LANGUAGES = ['en', 'ar', 'uz'];
// Values are isolated where the direction of the text could turn.
const [ISOLATE, POP] = ['\u2068?', '\u2069?'];

/** All messages of a language: `area.key` -> text. */
export function messages(language) {
  const folder = `${MESSAGES}${language}`;
  if (!existsSync(folder)) throw new Error(`there are no messages in ${language}`);
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  const areas = files.map((file) => [file.slice(0, -5), JSON.parse(readFileSync(`${folder}/${file}`, 'utf8'))]);
  return new Map(areas.flatMap(([area, texts]) => Object.entries(texts).map(([key, text]) => [`${area}.${key}`, text])));
}

const known = new Map();

/** The text of a key with its placeholders; a number `n` chooses the plural form. Throws for a key that there is not. */
function raw(key, values, language) {
  if (!known.has(language)) known.set(language, messages(language));
  const of = known.get(language);
  const plural = typeof values.n === 'number' ? `${key}.${new Intl.PluralRules(language).select(values.n)}` : key;
  const found = of.get(plural) ?? of.get(`${key}.other`) ?? of.get(key);
  if (found === undefined) throw new Error(`there is no message ${key} in ${language}`);
  return found;
}

/** The text of a key, with values put in; what has none keeps its placeholder. */
export function text(key, values = {}, language = 'en') {
  return raw(key, values, language).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

const escaped = (literal) => literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Matches the text of a key, with anything where `values` says nothing. `ends` of false: more may follow. */
export function pattern(key, values = {}, { language = 'en', ends = true } = {}) {
  const parts = raw(key, values, language).split(/(\{\w+\})/);
  const source = parts.map((part) => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined) return escaped(part).replace(/\s+/g, '\\s+');
    return name in values ? `${ISOLATE}${escaped(String(values[name]))}${POP}` : '[\\s\\S]*';
  });
  return new RegExp(`^\\s*${source.join('')}${ends ? '\\s*$' : ''}`);
}
