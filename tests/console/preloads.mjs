// What the console asks for ahead, from what its modules import: the preloads of index.html, and lib/ahead.js for each page. Without
// them a browser learns of a module only when the one before it has come. `node tests/console/preloads.mjs` writes both;
// unit/shell.test.mjs fails where they are old. Must never write anything else.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closure, files, read, ROOT } from './sources.mjs';

const LINK = /^<link rel="modulepreload" href="[^"]*">\n/gm;
const first = () => closure('app.js').filter((path) => path !== 'app.js');

/** The shell, with a preload for each module that app.js needs before it runs. */
export function shell() {
  const links = first().map((path) => `<link rel="modulepreload" href="/console/${path}">\n`);
  return read('index.html').replace(LINK, '').replace('<script type="module"', `${links.join('')}<script type="module"`);
}

/** The areas that a page names. */
function areasOf(path) {
  const named = /^export const areas = \[([^\]]*)\]/m.exec(read(path))?.[1] ?? '';
  return [...named.matchAll(/'([^']+)'/g)].map((found) => found[1]);
}

const list = (words) => `[${words.map((word) => `'${word}'`).join(', ')}]`;

/** The module that says what each page needs. */
export function ahead() {
  const there = new Set(['app.js', ...first()]);
  const pages = files('.js').filter((path) => /^pages\/[^/]+\.js$/.test(path));
  const rows = pages.map((path) => {
    const modules = closure(path).filter((other) => other !== path && !there.has(other));
    const parts = modules.map((other) => `    '${other}',\n`).join('');
    const name = path.slice('pages/'.length, -'.js'.length);
    return `  '${name}': {\n    areas: ${list(areasOf(path))},\n    modules: [${parts && `\n${parts.replace(/^/gm, '  ').trimEnd()}\n    `}],\n  },\n`;
  });
  return `// What each page needs besides itself and what is there already: areas of texts, modules. Written by tests/console/preloads.mjs.

export const AHEAD = {
${rows.join('')}};
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(join(ROOT, 'lib/ahead.js'), ahead());
  writeFileSync(join(ROOT, 'index.html'), shell());
}
