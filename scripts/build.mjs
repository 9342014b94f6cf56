// @ts-check
/** Compiles src, test and bench into dist/, the page against the browser's types, and copies what is not TypeScript. */
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
for (const project of ['tsconfig.json', 'src/main/page/tsconfig.json']) {
  const done = spawnSync(process.execPath, [tsc, '-p', project], { cwd: root, stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
}
for (const folder of ['src/main/page', 'src/codec/dictionaries']) {
  for (const name of readdirSync(`${root}/${folder}`)) {
    if (!/\.(html|css|zdict)$/.test(name)) continue;
    cpSync(`${root}/${folder}/${name}`, `${root}/dist/${folder}/${name}`);
  }
}
