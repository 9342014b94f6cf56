// @ts-check
/**
 * npm run sim [-- options]: one life of the whole engine in simulated time, printed line by line: what its upstreams, clients and threads did, and when
 * (virtual milliseconds). The same seed plays the same life.
 *
 *   --seed N    which one (default: by chance)
 *   --count N   so many, from that seed on; only verdicts are printed
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { install } from './install.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { seed: { type: 'string' }, count: { type: 'string' } } });
install();
const build = spawnSync(process.execPath, [join(root, 'scripts/build.mjs')], {
  cwd: root,
  stdio: ['ignore', 2, 2],
});
if (build.status !== 0) process.exit(build.status ?? 1);

/** @typedef {{ hash: string; verdicts: Record<string, unknown> }} Life */
const path = '../dist/test/support/swarm.js';
/** @type {{ live(seed: number, line?: (text: string) => void): Promise<Life> }} */
const swarm = await import(path);

const first = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const count = Number(values.count ?? 1);
for (let seed = first; seed < first + count; seed++) {
  try {
    const line = (/** @type {string} */ text) => void process.stdout.write(`${text}\n`);
    const { hash, verdicts } = await swarm.live(seed, count === 1 ? line : undefined);
    const { codes, ...ends } = verdicts;
    const said = JSON.stringify({ ...ends, codes: Object.fromEntries(/** @type {any} */ (codes)) });
    process.stdout.write(`seed ${seed}: ${said} ${hash.slice(0, 16)}\n`);
  } catch (thrown) {
    process.exitCode = 1;
    process.stdout.write(
      `seed ${seed}: ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`,
    );
  }
}
