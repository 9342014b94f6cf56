/** Goal: importing one part costs little, and never loads the server. Method: each export of the package in a process of its own; what Node itself needs is taken off. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const manifest = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
  exports: Record<string, string | { default: string }>;
};
const ROUNDS = 9;
/** CPU time of one import, on a machine on which Node itself starts with `NODE_MS` of it. */
const PART_MS_MAX = 15;
const NODE_MS = 40;
/** These bring the whole engine, with options and log: they may cost more, but not without end. */
const engines: ReadonlySet<string> = new Set(['millrace', 'millrace/testing']);
const ENGINE_MS_MAX = 1_000;

/** Every export that is code, as a user writes it. */
const names = Object.entries(manifest.exports)
  .filter(([, target]) => typeof target !== 'string')
  .map(([path]) => path.replace('.', 'millrace'));

interface Cost {
  readonly ms: number;
  /** What Node had used before. */
  readonly nodeMs: number;
  readonly loaded: readonly string[];
}

/** CPU milliseconds of the import, and which of the heavy libraries came along. */
function costOf(name: string): Cost {
  const script = `
    const before = process.cpuUsage();
    await import(${JSON.stringify(name)});
    const { user, system } = process.cpuUsage(before);
    const { createRequire } = await import('node:module');
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    const nodeMs = (before.user + before.system) / 1000;
    console.log(JSON.stringify({ ms: (user + system) / 1000, nodeMs, loaded }));`;
  const args = ['--input-type=module', '-e', script];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' })) as Cost;
}

for (const name of names) {
  test(`import '${name}' is quick`, (t) => {
    // The quickest of some: what else the machine does only ever adds.
    const costs = Array.from({ length: ROUNDS }, () => costOf(name));
    const ms = Math.min(...costs.map((cost) => cost.ms));
    const nodeMs = Math.min(...costs.map((cost) => cost.nodeMs));
    t.diagnostic(`${name}: ${ms.toFixed(1)} ms of CPU; Node itself ${nodeMs.toFixed(1)}`);
    if (engines.has(name)) return assert.ok(ms < ENGINE_MS_MAX, `${ms} ms`);
    const most = PART_MS_MAX * Math.max(1, nodeMs / NODE_MS);
    assert.ok(ms <= most, `${ms} ms; a part takes at most ${most}`);
    const heavy = costs[0].loaded.filter((path) => /node_modules\/(ws|undici|pino)\//.test(path));
    assert.deepEqual(heavy, []);
  });
}
