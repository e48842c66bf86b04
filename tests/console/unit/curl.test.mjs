// "Copy as curl": the command runs in a real shell, sends exactly the body and headers, verifies, and runs nothing that an event or
// an endpoint says. `curl` is a recorder here: what it was given is what counts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { curlCommand, quoted, variablesOf } from '../../../functions/api/console/pages/parts/curl.js';

const HOSTILE = [
  "'",
  "'; touch CANARY; '",
  '$(touch CANARY)',
  '`touch CANARY`',
  '"; touch CANARY; "',
  '\\',
  "\\'; touch CANARY #",
  '!!',
  '\n touch CANARY\n',
  '%s %n',
  '-d @/etc/passwd',
  '${IFS}',
  '\u202e',
  'ع',
];
const SECRET = `whsec_${Buffer.from('a secret of twenty-four bytes').toString('base64')}`;
const RECORDER = `#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word"; done >"$RECORDED.args"
cat >"$RECORDED.body"
`;
const folder = mkdtempSync(join(tmpdir(), 'console-curl-'));
const recorded = join(folder, 'recorded');
writeFileSync(join(folder, 'curl'), RECORDER);
chmodSync(join(folder, 'curl'), 0o755);
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command; what its curl was given. From standard input: a program's argument may have 128 KiB at most. */
function run(command) {
  const env = {
    PATH: `${folder}:${process.env.PATH}`,
    RECORDED: recorded,
    WEBHOOK_SECRET: SECRET,
    API_KEY: 'the key',
    HEADER_X_OWN: 'own',
  };
  execFileSync('sh', ['-s'], { cwd: folder, env, input: command, stdio: ['pipe', 'pipe', 'pipe'] });
  const words = readFileSync(`${recorded}.args`, 'utf8').split('\0').slice(0, -1);
  const headers = words.flatMap((word, n) => (words[n - 1] === '-H' ? [word] : []));
  const named = Object.fromEntries(headers.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
  return { words, named, body: readFileSync(`${recorded}.body`, 'utf8') };
}

/** What a receiver would say of it. */
function verifies({ named, body }) {
  const key = Buffer.from(SECRET.slice('whsec_'.length), 'base64');
  const signed = createHmac('sha256', key).update(`${named['webhook-id']}.${named['webhook-timestamp']}.${body}`).digest('base64');
  return named['webhook-signature'].split(' ').every((one) => one === `v1,${signed}`);
}

/** A delivery with a hostile text wherever there may be one. */
function hostile(text) {
  const body = JSON.stringify({ type: 'call.ended', id: 'evt_1', data: { [text]: text } });
  const url = `https://example.com/hook?x=${encodeURIComponent(text)}`;
  const endpoint = { url, profile: 'standard', header_names: ['x-own'], auth: { type: 'api_key', header: 'x-key' } };
  return { endpoint, event: { id: 'evt_1' }, body, version: '1.0.0' };
}

for (const text of HOSTILE) {
  test(`${JSON.stringify(text)} is sent as it is, verifies, and runs nothing`, () => {
    const wish = hostile(text);
    const sent = run(curlCommand(wish));
    assert.deepEqual([sent.body, sent.named['x-own'], sent.named['x-key']], [wish.body, 'own', 'the key']);
    assert.ok(verifies(sent) && sent.words.includes(wish.endpoint.url));
    assert.equal(execFileSync('sh', ['-c', `printf %s ${quoted(text)}`]).toString(), text);
    assert.ok(!existsSync(join(folder, 'CANARY')));
  });
}

test('an event of 256 KiB is sent whole', () => {
  const body = JSON.stringify({ data: 'x'.repeat(256 * 1024) });
  const endpoint = { url: 'https://example.com', profile: 'standard', header_names: [], auth: null };
  const sent = run(curlCommand({ endpoint, event: { id: 'evt_1' }, body, version: '1' }));
  assert.equal(sent.body, body);
  assert.ok(verifies(sent));
});

test('an old profile has its secret in its header', () => {
  const endpoint = { url: 'https://example.com', profile: 'voicehub', header_names: [], auth: null };
  const sent = run(curlCommand({ endpoint, event: { id: 'evt_1' }, body: '{}', version: '1' }));
  assert.equal(sent.named['x-webhook-secret'], SECRET);
});

test('every variable that it takes from the shell is named, and one that is not set ends it before anything is sent', () => {
  const auth = { type: 'basic' };
  const endpoint = { url: 'https://example.com', profile: 'standard', header_names: ['path', '7-up'], auth };
  const command = curlCommand({ endpoint, event: { id: 'evt_1' }, body: '{}', version: '1' });
  const names = variablesOf(endpoint);
  assert.deepEqual(names, ['WEBHOOK_SECRET', 'HEADER_PATH', 'HEADER_7_UP', 'BASIC_USER', 'BASIC_PASSWORD']);
  rmSync(`${recorded}.args`, { force: true });
  assert.throws(() => run(command), /HEADER_PATH/);
  assert.ok(!existsSync(`${recorded}.args`));
});
