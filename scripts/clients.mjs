// @ts-check
/** Installs the real clients that only end-to-end tests use, when their lockfile is not installed yet. Answers their folders. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const names = ['openai-6', 'openai-7'];

/** @returns {string[]} */
export function clients() {
  return names.map((name) => {
    const folder = fileURLToPath(new URL(`../test/clients/${name}`, import.meta.url));
    install(folder);
    return folder;
  });
}

/** @param {string} folder */
function install(folder) {
  const lock = createHash('sha256')
    .update(readFileSync(`${folder}/package-lock.json`))
    .digest('hex');
  const stamp = `${folder}/node_modules/.millrace-install`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write(`installing ${folder} …\n`);
  // openai 7 names a newer Node in its engines and runs on this one all the same.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const done = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 2, 2] });
  if (done.status !== 0) throw new Error(`npm ci failed in ${folder}`);
  writeFileSync(stamp, lock);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) clients();
