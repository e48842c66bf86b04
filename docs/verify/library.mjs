// Verifies a webhook with the official library (npm install standardwebhooks): as verify.mjs, but shorter.

import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const [headersFile, bodyFile] = process.argv.slice(2);
const lines = readFileSync(headersFile, "latin1").split(/\r?\n/).filter((line) => line.includes(":"));
const headers = Object.fromEntries(
  lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
);
const event = new Webhook(process.env.WEBHOOK_SECRET).verify(readFileSync(bodyFile), headers);
console.log(event.type);
