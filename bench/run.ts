/**
 * npm run bench [name …]: runs the benches, prints figures beside goals, writes bench/results/. Exit code 0 when every goal
 * is reached, 1 when one is missed, 3 when none is missed but one is inconclusive, 2 when a bench could not run.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { crash } from './load/crash.ts';
import { echo, nothing } from './load/echo.ts';
import { failover } from './load/failover.ts';
import { fanOut } from './load/fan-out.ts';
import { handshakes } from './load/handshakes.ts';
import { hop } from './load/hop.ts';
import { relay } from './load/relay.ts';
import { sessionMemory } from './load/session-memory.ts';
import { streamMemory } from './load/stream-memory.ts';
import type { Bench, Result, Settings } from './support/bench.ts';
import { stolenShare } from './support/children.ts';
import { writeDocument } from './support/document.ts';
import { machine } from './support/machine.ts';
import { microBenches } from './support/micro.ts';
import { table } from './support/table.ts';
import { exitCode, judge } from './support/verdict.ts';

const benches: readonly Bench[] = [
  nothing,
  echo,
  hop,
  fanOut,
  relay,
  failover,
  crash,
  handshakes,
  sessionMemory,
  streamMemory,
  ...(await microBenches()),
];

const progress = (text: string): void => void process.stderr.write(`${text}\n`);

function commandLine() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        'no-pin': { type: 'boolean', default: false },
        backend: { type: 'string', multiple: true, default: ['uws', 'ws'] },
        'write-docs': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    progress(
      `${error instanceof Error ? error.message : String(error)}\nsee npm run bench -- --help`,
    );
    return process.exit(2);
  }
}

const { values: flags, positionals: names } = commandLine();
if (flags.help) {
  const width = Math.max(...benches.map(({ name }) => name.length));
  const rows = benches.map(({ name, title }) => `  ${name.padEnd(width)}  ${title}`);
  process.stdout.write(`npm run bench [name …] [-- flags]

  npm run bench                        all of them: most of an hour
  npm run bench echo relay             these two
  npm run bench relay -- --quick       few rounds: is it the right order of magnitude?
  npm run bench relay -- --write-docs  writes what was measured into docs/PERFORMANCE.md

  --rounds N       rounds of each variant, interleaved; the median counts (5; quick: 2)
  --backend NAME   uws or ws; may stand twice (both)
  --no-pin         leaves it to the system which core runs what

${rows.join('\n')}

Exit code: 0 every goal reached, 1 one missed, 3 one inconclusive, 2 a bench could not run.
`);
  process.exit(0);
}

function settingsFor(bench: Bench): Settings {
  return {
    rounds: Number(flags.rounds ?? (flags.quick ? 2 : 5)),
    quick: flags.quick,
    pin: !flags['no-pin'],
    backends: flags.backend.filter((name) => name === 'uws' || name === 'ws'),
    progress: (text) => progress(`${bench.name}: ${text}`),
  };
}

async function runOne(bench: Bench): Promise<Result> {
  const began = performance.now();
  const stolenBefore = await stolenShare();
  const { readings, goals, notes } = await bench.run(settingsFor(bench));
  const stolenAfter = await stolenShare();
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  return {
    name: bench.name,
    title: bench.title,
    readings,
    goals: goals.map((goal) => judge(goal)),
    notes: [
      ...notes,
      `time taken from the worst core by others: ${percent(stolenBefore)} before, ${percent(stolenAfter)} after`,
    ],
    seconds: (performance.now() - began) / 1000,
  };
}

const unknown = names.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  progress(`no bench ${unknown.join(', ')}; there are: ${benches.map((b) => b.name).join(' ')}`);
  process.exit(2);
}

const kept = new URL('../../bench/results/', import.meta.url);
const results: Result[] = [];
let broken = false;
for (const bench of benches) {
  if (names.length > 0 && !names.includes(bench.name)) continue;
  try {
    const result = await runOne(bench);
    results.push(result);
    process.stdout.write(table(result));
    mkdirSync(kept, { recursive: true });
    const file = new URL(`${flags.quick ? 'quick-' : ''}${bench.name}.json`, kept);
    const about = machine(`npm run bench -- ${bench.name}`, !flags['no-pin']);
    writeFileSync(file, `${JSON.stringify({ ...about, ...result }, null, 1)}\n`);
  } catch (error) {
    broken = true;
    progress(
      `${bench.name}: could not run: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
if (flags['write-docs']) {
  const document = new URL('../../docs/PERFORMANCE.md', import.meta.url);
  writeDocument(
    benches.map((bench) => bench.name),
    kept,
    document,
  );
}
const method = results.find((result) => result.name === nothing.name);
if (method?.goals.some((goal) => goal.verdict !== 'reached')) {
  process.stdout.write(
    '\nThe null test did not read 1: this machine was not calm enough, and verdicts near a goal mean little.\n',
  );
}
const verdicts = results.flatMap((result) => result.goals.map((goal) => goal.verdict));
const count = (verdict: string) => verdicts.filter((v) => v === verdict).length;
process.stdout.write(
  `\n${count('reached')} reached, ${count('missed')} missed, ${count('inconclusive')} inconclusive\n`,
);
process.exit(broken ? 2 : exitCode(verdicts));
