// The vendored modules are those that their README names: each file's SHA-256 is there, and nothing else lies beside them. Input:
// none. Status 1 and a line for each fault; 0 if there is none.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './sources.mjs';

const folder = join(ROOT, 'vendor');
const told = readFileSync(join(folder, 'README.md'), 'utf8');
const rows = new Map([...told.matchAll(/^\| `([\w.-]+\.js)` \|.*\| `([0-9a-f]{64})` \|$/gm)].map((row) => [row[1], row[2]]));
const faults = [];
for (const name of readdirSync(folder)) {
  if (name === 'README.md' || name.startsWith('LICENSE-')) continue;
  const digest = createHash('sha256').update(readFileSync(join(folder, name))).digest('hex');
  if (rows.get(name) !== digest) faults.push(`${name}: ${digest} is not what README.md says`);
  rows.delete(name);
}
for (const name of rows.keys()) faults.push(`${name}: named in README.md, and missing`);
for (const line of faults) console.log(line);
console.log(`vendor: ${faults.length === 0 ? 'as README.md says' : `${faults.length} faults`}`);
process.exitCode = faults.length === 0 ? 0 : 1;
