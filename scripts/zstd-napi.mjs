// @ts-check
/**
 * Compiles zstd-napi's binary, whose install script is not run here (scripts/install.mjs), with the node-gyp that npm brings. Takes
 * 45 s once. Without a compiler it says so and leaves: zstd comes from another source then.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install } from './install.mjs';

install();
const folder = fileURLToPath(new URL('../node_modules/zstd-napi', import.meta.url));
const require = createRequire(import.meta.url);

function loads() {
  try {
    return require('zstd-napi/binding.js') !== undefined;
  } catch {
    return false;
  }
}

/** @param {string} reason */
function leave(reason) {
  process.stderr.write(`zstd-napi is not built: ${reason}\n`);
  process.exit(0);
}

if (!existsSync(folder)) leave('npm did not install it');
if (!loads()) {
  const npm = spawnSync('npm', ['root', '--global'], { encoding: 'utf8' });
  const gyp = join(npm.stdout.trim(), 'npm/node_modules/node-gyp/bin/node-gyp.js');
  if (!existsSync(gyp)) leave('npm has no node-gyp');
  // Headers that came with Node are used; otherwise node-gyp fetches them.
  const prefix = dirname(dirname(process.execPath));
  const nodedir = existsSync(join(prefix, 'include/node/node.h')) ? [`--nodedir=${prefix}`] : [];
  const done = spawnSync(process.execPath, [gyp, 'rebuild', ...nodedir], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.status !== 0) leave(done.stderr.trim().split('\n').slice(-4).join(' '));
  process.stderr.write('zstd-napi is built\n');
}
