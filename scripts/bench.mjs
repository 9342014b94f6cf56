// @ts-check
/**
 * npm run bench [name …] [-- --quick --rounds=n --backend=uws --no-pin --write-docs]: installs, builds, compiles the two
 * C programs of the bench (load generator, upstream), then runs bench/run.ts. See docs/PERFORMANCE.md.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { install } from './install.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
install();
const build = spawnSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
if (build.status !== 0) process.exit(2);

const folder = 'bench/support';
mkdirSync(`${folder}/bin`, { recursive: true });
for (const name of ['load', 'upstream']) {
  const [from, to] = [`${folder}/${name}.c`, `${folder}/bin/${name}`];
  const sources = [from, `${folder}/wire.h`].map((file) => statSync(file).mtimeMs);
  if (existsSync(to) && statSync(to).mtimeMs > Math.max(...sources)) continue;
  const made = spawnSync('cc', ['-O2', '-Wall', '-Wextra', '-o', to, from], { stdio: 'inherit' });
  if (made.error) {
    process.stderr.write(
      'the load generator and the upstream of the bench are C programs (Linux): a C compiler named "cc" is needed\n',
    );
    process.exit(2);
  }
  if (made.status !== 0) process.exit(2);
}
if (spawnSync('taskset', ['--version'], { stdio: 'ignore' }).error) {
  process.argv.push('--no-pin');
  process.stderr.write('no taskset here: nothing is pinned to a core\n');
}
const run = spawnSync(
  process.execPath,
  ['--enable-source-maps', 'dist/bench/run.js', ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
process.exit(run.status ?? 2);
