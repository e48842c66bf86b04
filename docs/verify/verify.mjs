// Verifies a webhook with Node's standard library: WEBHOOK_SECRET=whsec_.. node verify.mjs HEADERS_FILE BODY_FILE

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const TOLERANCE_S = 5 * 60;

/** True if the request is genuine and recent. `headers` by lower-case name; `body` a Buffer, exactly as received. */
export function verify(secret, headers, body) {
  const id = headers["webhook-id"];
  const sentAt = headers["webhook-timestamp"] ?? "";
  if (!id || !/^\d+$/.test(sentAt) || Math.abs(Date.now() / 1000 - Number(sentAt)) > TOLERANCE_S) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const hmac = createHmac("sha256", key).update(id + "." + sentAt + ".").update(body);
  const expected = Buffer.from("v1," + hmac.digest("base64"));
  // While a secret is rotated there are two signatures: one that matches is enough.
  return (headers["webhook-signature"] ?? "").split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

const [headersFile, bodyFile] = process.argv.slice(2);
const lines = readFileSync(headersFile, "latin1").split(/\r?\n/).filter((line) => line.includes(":"));
const headers = Object.fromEntries(
  lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
);
process.exitCode = verify(process.env.WEBHOOK_SECRET, headers, readFileSync(bodyFile)) ? 0 : 1;
