#!/usr/bin/env node
// Serves functions/api/console from the folder and hands everything else to a running redial: for working on the console
// without compiling. What is saved is there at the next load of the page.
//
//     target/release/redial serve --data redial-data --listen 127.0.0.1:4080
//     node tests/console/serve.mjs [--redial http://127.0.0.1:4080] [--listen 127.0.0.1:4081] [--ancestors ORIGIN]
//
// Prints {"url":..}. Sends the headers that the product sends, so that what the Content-Security-Policy forbids fails here, too.
// Must never listen elsewhere than on this machine: it says to redial that requests come from its own origin.
import { createServer, request as ask } from 'node:http';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const CONSOLE = fileURLToPath(new URL('../../functions/api/console/', import.meta.url));
/** The folders that have files; pages lie in none of them. */
const folders = () => readdirSync(CONSOLE, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []));
const PREFIX = '/console';
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|\[?::1\]?)$/;
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};
// As functions/api/src/console.rs has them; tests/console/xss.mjs looks at what the product itself sends.
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors ";
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

/** The headers of every file; `ancestors` may show the console in a frame, nobody if there are none. */
function headersFor(ancestors) {
  const headers = { ...HEADERS, 'content-security-policy': POLICY + (ancestors || "'none'") };
  return ancestors ? headers : { ...headers, 'x-frame-options': 'DENY' };
}

/** The file of a path below /console: what lies in one of its folders, or has an ending; else a page, and so the shell. */
function fileOf(path) {
  const inside = path
    .slice(PREFIX.length)
    .replace(/^\/+/, '')
    .replace(/^v-[^/]+\//, '');
  const [first, ...rest] = inside.split('/');
  const isFile = rest.length > 0 ? folders().includes(first) : first.includes('.');
  const file = normalize(join(CONSOLE, isFile ? inside : 'index.html'));
  return file.startsWith(CONSOLE) ? file : null;
}

/** Answers with a file of the console, compressed if the browser takes that. */
async function file(path, always, request, response) {
  let found;
  let bytes;
  try {
    found = fileOf(path);
    bytes = await readFile(found);
  } catch {
    response.writeHead(404, { ...always, 'content-type': 'text/plain' }).end('there is no such file\n');
    return;
  }
  const headers = { ...always, 'content-type': TYPES[extname(found)] ?? 'application/octet-stream' };
  if (/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) {
    bytes = gzipSync(bytes);
    headers['content-encoding'] = 'gzip';
  }
  response.writeHead(200, { ...headers, 'content-length': bytes.length }).end(bytes);
}

/** Hands a request to redial as if it had come to redial's own origin, and its answer back. */
function hand(redial, own, request, response) {
  const headers = { ...request.headers, host: redial.host };
  if (headers.origin === own) headers.origin = redial.origin;
  const options = { host: redial.hostname, port: redial.port, method: request.method, path: request.url, headers };
  const onward = ask(options, (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(response);
  });
  onward.on('error', (error) => {
    if (response.headersSent) return response.destroy();
    const detail = `${redial.origin} does not answer (${error.code}): start redial serve`;
    const problem = { type: 'about:blank', title: 'Bad Gateway', status: 502, code: 'redial_not_there', detail };
    response.writeHead(502, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
  });
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}

/** Serves until the process ends; gives the URL. */
function serve({ redial: redialUrl, listen, ancestors }) {
  const always = headersFor(ancestors);
  const redial = new URL(redialUrl);
  const [, host, port] = /^(.*):(\d+)$/.exec(listen) ?? [];
  if (!LOOPBACK.test(host ?? '')) throw new Error(`--listen ${listen}: only this machine, as 127.0.0.1:4081`);
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://here');
    const own = `http://${request.headers.host}`;
    if (pathname === '/') response.writeHead(302, { location: `${PREFIX}/` }).end();
    else if (pathname === PREFIX || pathname.startsWith(`${PREFIX}/`)) file(pathname, always, request, response);
    else hand(redial, own, request, response);
  });
  return new Promise((done, failed) => {
    server.on('error', failed);
    server.listen(Number(port), host.replace(/[[\]]/g, ''), () => done(`http://${host}:${server.address().port}`));
  });
}

const { values } = parseArgs({
  options: {
    redial: { type: 'string', default: 'http://127.0.0.1:4080' },
    listen: { type: 'string', default: '127.0.0.1:4081' },
    ancestors: { type: 'string', default: '' },
  },
});
const url = await serve(values);
console.log(JSON.stringify({ url, console: `${url}${PREFIX}/`, redial: values.redial }));
