// Says what held and what did not, one line a check, as the other suites below tests/ do: `ok` or `FAIL` first, which `run`
// counts. Must never turn a crash into a pass: whatever a part throws is a failed check, and a script that ends early fails.

// Longest list of details behind a failed check.
const MAX_DETAILS = 20;

/** The checks of one suite. */
export class Report {
  constructor(name) {
    this.name = name;
    this.passed = 0;
    this.failed = 0;
    this.finished = false;
    process.on('exit', (code) => {
      if (!this.finished && code === 0) {
        this.check('runs to its end', false);
        process.exitCode = 1;
      }
    });
  }

  /** One check. `details` (a text, or a list) is shown if it does not hold. */
  check(sentence, holds, details = []) {
    if (holds) {
      this.passed += 1;
      console.log(`ok   ${this.name}: ${sentence}`);
      return true;
    }
    this.failed += 1;
    console.log(`FAIL ${this.name}: ${sentence}`);
    const rows = [details].flat().map((row) => (typeof row === 'string' ? row : JSON.stringify(row)));
    for (const row of rows.slice(0, MAX_DETAILS)) console.log(`       ${row.replaceAll('\n', '\n       ')}`);
    if (rows.length > MAX_DETAILS) console.log(`       and ${rows.length - MAX_DETAILS} more`);
    return false;
  }

  /** A check that holds if the list is empty. */
  nothing(sentence, wrong) {
    return this.check(sentence, wrong.length === 0, wrong);
  }

  /** A check that two values are equal. */
  equal(sentence, got, expected) {
    const [left, right] = [JSON.stringify(got), JSON.stringify(expected)];
    return this.check(sentence, left === right, `expected ${right}, got ${left}`);
  }

  /** One sentence that holds if `work` comes to its end; `pictured` is asked for what the page looked like if it does not. */
  async part(sentence, work, pictured = async () => []) {
    try {
      await work();
      return this.check(sentence, true);
    } catch (error) {
      const seen = await pictured().catch((other) => [`and there is no picture: ${other.message}`]);
      return this.check(sentence, false, [
        ...String(error.stack ?? error)
          .split('\n')
          .slice(0, 12),
        ...seen,
      ]);
    }
  }

  /** A number worth reading, no check. */
  note(text) {
    console.log(`     ${this.name}: ${text}`);
  }

  /** Ends the suite: status 0 only if something was checked and all of it held. */
  finish() {
    this.finished = true;
    process.exitCode = this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}

/** Runs a suite; whatever it throws is a failed check. */
export async function suite(name, script) {
  const report = new Report(name);
  const began = Date.now();
  await report.part('runs to its end', () => script(report));
  report.note(`took ${((Date.now() - began) / 1000).toFixed(1)} s`);
  report.finish();
}

/** Fails unless it is true. */
export function holds(what, condition) {
  if (!condition) throw new Error(what);
}

/** Fails unless both are equal. */
export function same(what, got, expected) {
  const [left, right] = [JSON.stringify(got), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: expected ${right}, got ${left}`);
}

/** Does `work` for each of the items, `width` at a time, each taken in order by the next that is free. */
export async function inParallel(items, width, work) {
  const left = items.entries();
  const lane = async () => {
    for (const [at, item] of left) await work(item, at);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}
