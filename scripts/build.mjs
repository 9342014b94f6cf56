// @ts-check
/** Compiles src, test and bench into dist/, and copies what is not TypeScript. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const done = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (done.status !== 0) process.exit(done.status ?? 1);
for (const [from, to] of [['src/main/page', 'dist/src/main/page']]) {
  if (existsSync(`${root}/${from}`))
    cpSync(`${root}/${from}`, `${root}/${to}`, { recursive: true });
}
