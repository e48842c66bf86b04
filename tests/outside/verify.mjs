// Verifies every request of a ledger with the official JavaScript library, as its receiver would have on arrival: the
// library's clock stands at the moment the request came. Must never skip a request.
//
//   node verify.mjs LEDGER SECRETS      SECRETS: {"/path": "whsec_.."}; needs standardwebhooks (REDIAL_NODE_MODULES)

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const modules = process.env.REDIAL_NODE_MODULES ?? "node_modules";
const { Webhook } = createRequire(path.resolve(modules, "require.js"))("standardwebhooks");

const [ledger, secretsFile] = process.argv.slice(2);
const secrets = JSON.parse(readFileSync(secretsFile, "utf8"));
const rows = readFileSync(ledger, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));

let verified = 0;
const refused = [];
for (const row of rows.filter((row) => row.row === "received")) {
  const headers = Object.fromEntries(row.headers.map(([name, value]) => [name.toLowerCase(), value]));
  Date.now = () => row.at * 1000;
  try {
    new Webhook(secrets[row.path]).verify(Buffer.from(row.body, "base64"), headers);
    verified += 1;
  } catch (error) {
    refused.push(`${row.path} ${row.id}: ${error.message}`);
  }
}
console.log(JSON.stringify({ verified, refused }));
