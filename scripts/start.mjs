// @ts-check
/**
 * npm start [-- flags]: installs and builds if needed, then serves the demo in this very process, so that signals to it
 * reach the gateway and its exit code is the gateway's.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install } from './install.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'dist/src/cli/run.js');
const stamp = join(root, 'dist/.tsbuildinfo');

/** The newest change in a folder. @param {string} folder @returns {number} */
function newest(folder) {
  const entries = readdirSync(folder, { withFileTypes: true });
  const times = entries.map((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? newest(path) : statSync(path).mtimeMs;
  });
  return Math.max(0, ...times);
}

function stale() {
  if (!existsSync(built) || !existsSync(stamp)) return true;
  const made = statSync(stamp).mtimeMs;
  const sources = ['package.json', 'tsconfig.json'].map((f) => statSync(join(root, f)).mtimeMs);
  return Math.max(newest(join(root, 'src')), ...sources) > made;
}

install();
if (stale()) {
  process.stderr.write('building …\n');
  // The compiler's output is for people here: standard output belongs to the log.
  const script = join(root, 'scripts/build.mjs');
  const build = spawnSync(process.execPath, [script], { cwd: root, stdio: ['ignore', 2, 2] });
  if (build.status !== 0) process.exit(build.status ?? 1);
}
/** @type {typeof import('../src/cli/run.ts')} */
const { run } = await import(built);
process.exitCode = await run(['serve', '--demo', ...process.argv.slice(2)]);
