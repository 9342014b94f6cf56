// @ts-check
/**
 * npm run build:wasm: compiles wasm/scan.ts and writes it as src/protocol/scan-kernel-bytes.ts, which is committed. As a module
 * and not as a file beside it, because protocol/ reads no files, runs anywhere, and a package can lose a file but not an import. `--print` only prints.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'millrace-wasm-'));
const out = join(folder, 'scan.wasm');
const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
const done = spawnSync(
  process.execPath,
  [
    asc,
    'wasm/scan.ts',
    '--outFile',
    out,
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--use',
    'abort=',
  ].concat(['--enable', 'simd', '--initialMemory', '19', '--maximumMemory', '19']),
  { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
);
if (done.status !== 0) process.exit(done.status ?? 1);
const text = readFileSync(out).toString('base64');
rmSync(folder, { recursive: true });
const lines = text.match(/.{1,96}/g) ?? [];
const module = `/** wasm/scan.ts, compiled by \`npm run build:wasm\`: not to be edited. A test compiles it again and compares. */
const text =
${lines.map((line) => `  '${line}'`).join(' +\n')};

export function kernelBytes(): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
`;
if (process.argv.includes('--print')) process.stdout.write(module);
else writeFileSync(join(root, 'src/protocol/scan-kernel-bytes.ts'), module);
