// The world that `world.py` made, seen by a suite: where it is, its API as an operator or a customer asks it, its receiver.
// Knows the product only as its users do.
import { readFileSync } from 'node:fs';

// How often something is looked at again, and how long it may take, in milliseconds.
const LOOK_EVERY_MS = 100;
const ARRIVE_MS = 60_000;

/** Looks until `condition` gives something true, and gives that. */
export async function until(what, condition, { withinMs = ARRIVE_MS, everyMs = LOOK_EVERY_MS } = {}) {
  const ends = Date.now() + withinMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() >= ends) throw new Error(`${what}: not within ${withinMs / 1000} s`);
    await new Promise((again) => setTimeout(again, everyMs));
  }
}

/** The API, asked with a key. */
export class Api {
  constructor(url, key) {
    this.url = url;
    this.key = key;
  }

  /** One request: its status, headers and body. */
  async ask(method, path, body) {
    const headers = { 'content-type': 'application/json' };
    if (this.key) headers.authorization = `Bearer ${this.key}`;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await fetch(this.url + path, { method, headers, body: text, redirect: 'manual' });
    const said = await answer.text();
    let parsed = null;
    try {
      parsed = said && JSON.parse(said);
    } catch {
      parsed = said;
    }
    return { status: answer.status, headers: answer.headers, body: parsed };
  }

  /** The body of an answer that must be a success. */
  async do(method, path, body) {
    const answer = await this.ask(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Everything in a list, page by page. */
  async items(path) {
    const found = [];
    let cursor = null;
    do {
      const next = cursor === null ? '' : `${path.includes('?') ? '&' : '?'}cursor=${cursor}`;
      const page = await this.do('GET', path + next);
      found.push(...page.items);
      cursor = page.next;
    } while (cursor !== null);
    return found;
  }
}

/** The receiver of all endpoints, and its ledger. */
class Receiver {
  constructor(world) {
    this.origin = world.receiver;
    this.control = world.control;
    this.ledger = world.ledger;
  }

  /** How a path answers from now on: `status`, `fail_first`, `fail_status`, `delay_ms`, `secret`, `headers`, `body`. */
  async behave(path, behaviour = {}) {
    const answer = await fetch(`${this.control}/paths${path}`, { method: 'PUT', body: JSON.stringify(behaviour) });
    if (answer.status !== 200) throw new Error(`the receiver refuses ${JSON.stringify(behaviour)}`);
  }

  /** The requests that a path has seen: `{id, verified, headers, body, status}`, in the order of their arrival. */
  requests(path) {
    const rows = readFileSync(this.ledger, 'utf8').split('\n').slice(0, -1).map(JSON.parse);
    const answers = new Map(rows.filter((row) => row.row === 'answered').map((row) => [row.n, row.status]));
    return rows
      .filter((row) => row.row === 'received' && row.path === path)
      .map((row) => ({
        id: row.id,
        verified: row.python,
        headers: row.headers,
        body: Buffer.from(row.body, 'base64').toString(),
        status: answers.get(row.n) ?? null,
      }));
  }

  /** The requests of a path, once there are as many. */
  arrived(path, count = 1) {
    return until(`${count} requests at ${path}`, () => {
      const seen = this.requests(path);
      return seen.length >= count && seen;
    });
  }
}

/** Everything that runs. */
export class World {
  constructor(made) {
    Object.assign(this, made);
    this.api = new Api(made.url, made.key);
    this.receiver = new Receiver(made);
    this.made = 0;
  }

  /** A tenant of a test's own, so that tests at the same time do not meet. */
  async tenant(name = 'Test') {
    this.made += 1;
    const id = `test-${process.pid}-${this.made}`;
    await this.api.do('PUT', `/v1/tenants/${id}`, { name, max_endpoints: 100 });
    return id;
  }

  /** An endpoint, and how its receiver answers. `path` is where at the receiver. */
  async endpoint(tenant, fields = {}, behaviour = {}) {
    this.made += 1;
    const path = `/${tenant}/${this.made}`;
    await this.receiver.behave(path, behaviour);
    const url = this.receiver.origin + path;
    const made = await this.api.do('POST', `/v1/tenants/${tenant}/endpoints`, { url, ...fields });
    await this.receiver.behave(path, { ...behaviour, secret: made.secret });
    return { ...made, path };
  }

  /** Posts an event of a call, and gives its id. */
  async post(tenant, type, call, fields = {}) {
    const event = { type, tenant, data: { call_id: call }, related: { call_id: call }, ...fields };
    return (await this.api.do('POST', '/v1/events', event)).id;
  }

  /** A tenant's deliveries in a state, once there are as many. */
  deliveries(tenant, state, count = 1) {
    return until(`${count} deliveries of ${tenant} that are ${state}`, async () => {
      const { items } = await this.api.do('GET', `/v1/tenants/${tenant}/deliveries?state=${state}&limit=100`);
      return items.length >= count && items;
    });
  }
}

/** The world of this suite. */
export function world() {
  const file = process.env.CONSOLE_WORLD;
  if (!file) throw new Error('CONSOLE_WORLD is not set: run tests/console/run');
  return new World(JSON.parse(readFileSync(file, 'utf8')));
}
