// @ts-check
/**
 * npm run build:native: builds the addon of native/ into native/build/codecs.node, where src/codec/native.ts looks for it.
 * Needs cargo 1.88 or later and a C compiler; about a minute on two cores the first time, nothing when no source changed.
 * With --if-possible a machine without cargo is told so and nothing fails. With --test also runs the tests of the crate.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const native = fileURLToPath(new URL('../native/', import.meta.url));
const built = `${native}build/codecs.node`;
const stamp = `${native}build/sources.sha256`;
const say = (/** @type {string} */ line) => process.stderr.write(`${line}\n`);

/** What the addon is made of, and by which compiler. @param {string} compiler */
function sources(compiler) {
  const hash = createHash('sha256').update(compiler);
  const files = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'package.json', 'package-lock.json'];
  for (const name of readdirSync(`${native}src`).sort()) files.push(`src/${name}`);
  for (const file of files) hash.update(`\0${file}\0`).update(readFileSync(native + file));
  return hash.digest('hex');
}

/** @param {string} program @param {readonly string[]} args */
function run(program, args) {
  const done = spawnSync(program, args, { cwd: native, stdio: ['ignore', 2, 2] });
  if (done.status === 0) return;
  say(`${program} ${args.join(' ')} failed${done.error ? `: ${done.error.message}` : ''}`);
  process.exit(done.status ?? 1);
}

const asked = process.argv.slice(2);
const cargo = spawnSync('cargo', ['--version'], { encoding: 'utf8' });
if (cargo.status !== 0) {
  say(
    'no cargo here (see rustup.rs): the native addon is not built, and everything works without it',
  );
  process.exit(asked.includes('--if-possible') ? 0 : 1);
}
const wanted = sources(`${cargo.stdout}${process.platform}${process.arch}`);
if (existsSync(built) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) {
  say('the native addon is built already');
} else {
  const began = performance.now();
  if (!existsSync(`${native}node_modules/@napi-rs/cli/package.json`)) {
    say('installing @napi-rs/cli (76 MB, some 20 s) …');
    // Its optional packages are toolchains for other systems.
    const quiet = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund'];
    run('npm', ['install', '--no-save', '--loglevel=error', ...quiet]);
  }
  say(`building the native addon with ${cargo.stdout.trim()} (about a minute on two cores) …`);
  mkdirSync(`${native}build`, { recursive: true });
  const cli = 'node_modules/@napi-rs/cli/dist/cli.js';
  run(process.execPath, [cli, 'build', '--release', '--output-dir', 'build', '--', '--locked']);
  writeFileSync(stamp, wanted);
  say(`built native/build/codecs.node in ${((performance.now() - began) / 1000).toFixed(0)} s`);
}
if (asked.includes('--test')) {
  const { stdout } = spawnSync('rustc', ['-vV'], { encoding: 'utf8' });
  const host = /^host: (.*)$/m.exec(stdout)?.[1];
  // The CLI names its target: with the same one everything but the crate is built already.
  const target = host === undefined ? [] : ['--target', host];
  run('cargo', ['test', '--release', '--locked', '--quiet', ...target]);
}
