// @ts-check
/**
 * npm run check [word …]: everything that judges the sources without running the engine. All checks run, each with its time;
 * the end names those that failed. With words, only the checks whose name holds one.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { install } from './install.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
install();

const node = process.execPath;
const bin = (/** @type {string} */ name) => `node_modules/.bin/${name}`;
/** @type {readonly { name: string; command: readonly string[]; help: string }[]} */
const checks = [
  // Builds: the later checks run on what it wrote.
  { name: 'types', command: [node, 'scripts/build.mjs'], help: 'fix what the compiler says' },
  { name: 'format', command: [bin('biome'), 'ci', '--colors=off', '.'], help: 'npm run format' },
  { name: 'lint', command: [bin('oxlint'), '--deny-warnings'], help: 'fix what oxlint says' },
  { name: 'dead code', command: [bin('knip')], help: 'delete it, or use it' },
  {
    name: 'tidy',
    command: [node, '--test', 'dist/test/tidy.test.js', 'dist/test/docs.test.js'],
    help: 'each line says which rule',
  },
  { name: 'package', command: [bin('publint'), '--strict'], help: 'see publint.dev/rules' },
  { name: 'documents', command: [node, 'scripts/docs.mjs', '--check'], help: 'npm run docs' },
];

const words = process.argv.slice(2);
const chosen = checks.filter(
  ({ name }) => words.length === 0 || words.some((w) => name.includes(w)),
);
const failed = chosen.filter(({ name, command: [program, ...args] }) => {
  const began = performance.now();
  const done = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, NO_COLOR: '1' },
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const good = done.status === 0;
  process.stdout.write(`${good ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds} s\n`);
  if (!good) process.stdout.write(`${done.error ?? ''}${done.stdout ?? ''}${done.stderr ?? ''}\n`);
  return !good;
});
for (const { name, help } of failed) process.stdout.write(`failed: ${name} (${help})\n`);
process.exit(failed.length === 0 && chosen.length > 0 ? 0 : 1);
