// @ts-check
/**
 * npm test [word …]: installs and builds if needed, then runs the tests (only files whose path holds a word, if words are given).
 * SLOW=1 runs the long counts, SEED=n repeats random tests.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { agents, clients, python } from './clients.mjs';
import { install } from './install.mjs';
import { runFiles } from './run-files.mjs';
import { testFiles } from './test-files.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
install();
const build = spawnSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
if (build.status !== 0) process.exit(build.status ?? 1);

const words = process.argv.slice(2);
const files = testFiles(words);
if (files.length === 0) {
  process.stderr.write(`no test file matches ${words.join(' ')}\n`);
  process.exit(1);
}
// Before the tests, because several files need them and run at the same time.
if (files.some((file) => /real-clients|simulated-sdk|llm-integration/.test(file))) clients();
if (files.some((file) => /real-clients-http|llm-integration/.test(file))) {
  agents();
  python();
}
// The long counts take the time they need.
const slow = process.env.SLOW === '1';
const { failed } = await runFiles(files, slow ? { fileSeconds: 3_600, totalSeconds: 36_000 } : {});
process.exitCode = failed === 0 ? 0 : 1;
