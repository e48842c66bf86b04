// The console's files, and who imports whom: what the checks beside this file share. Reads, never writes.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../functions/api/console');

/** Paths below the console's folder, with `/`. */
export function files(ending, folder = ROOT) {
  return readdirSync(folder, { recursive: true })
    .map((path) => relative(ROOT, join(folder, path)).replaceAll('\\', '/'))
    .filter((path) => path.endsWith(ending))
    .sort();
}

export const read = (path) => readFileSync(join(ROOT, path), 'utf8');

/** The console's own modules, without vendor/. */
export const modules = () => files('.js').filter((path) => !path.startsWith('vendor/'));

const IMPORT = /^\s*(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]/gms;

/** What a module names in its imports, as paths below the console's folder. */
export function importsOf(path) {
  return [...read(path).matchAll(IMPORT)].map((found) => posix.join(posix.dirname(path), found[1] ?? found[2]));
}

const LATER = /\bimport\('([^']+)'\)/g;

/** What a module asks for when it is wanted, as what lies behind a tab. */
export function laterOf(path) {
  return [...read(path).matchAll(LATER)].map((found) => posix.join(posix.dirname(path), found[1]));
}

/** A module and everything that it needs before it runs; with `later`, what it may ask for afterwards too. */
export function closure(path, { later = false } = {}) {
  const seen = new Set();
  const waiting = [path];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (seen.has(next)) continue;
    seen.add(next);
    waiting.push(...importsOf(next), ...(later ? laterOf(next) : []));
  }
  return [...seen].sort();
}
