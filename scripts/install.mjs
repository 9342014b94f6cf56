// @ts-check
/** Installs the dependencies of the lockfile when node_modules does not match it yet. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

export function install() {
  // A linked node_modules belongs to another working tree: installing through it would empty that one.
  const linked = lstatSync(`${root}/node_modules`, { throwIfNoEntry: false })?.isSymbolicLink();
  if (linked) return;
  const lock = createHash('sha256')
    .update(readFileSync(`${root}/package-lock.json`))
    .digest('hex');
  const stamp = `${root}/node_modules/.millrace-install`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write('installing dependencies …\n');
  // No dependency of ours needs an install script. Not `npm ci`: it refuses the lockfile when the registry lacks the tools'
  // optional builds for other systems. `--no-save` takes the same locked versions and checks the same integrities.
  const args = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  const done = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (done.status !== 0) process.exit(done.status ?? 1);
  writeFileSync(stamp, lock);
}
