// @ts-check
/**
 * npm run trace [-- options]: one request through the demo engine, printed stage by stage: when, on which thread, how many bytes, what.
 *
 *   --fault [SPEC]   the upstream it meets first fails: SPEC as in the simulated upstream's @fault (default: status=503)
 *   --prompt TEXT    what is asked (default: @tokens 12)
 *   --cold           trace the very first request; otherwise one goes before it, unseen, so that compiled code is measured
 *   --json           every point as it was heard, one JSON object a line
 */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BroadcastChannel } from 'node:worker_threads';

const root = fileURLToPath(new URL('..', import.meta.url));
const preload = new URL('./trace-points.mjs', import.meta.url).href;

if (!process.execArgv.includes(preload)) {
  const { install } = await import('./install.mjs');
  install();
  const script = join(root, 'scripts/build.mjs');
  const build = spawnSync(process.execPath, [script], { cwd: root, stdio: ['ignore', 2, 2] });
  if (build.status !== 0) process.exit(build.status ?? 1);
  const again = ['--import', preload, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  process.exit(spawnSync(process.execPath, again, { stdio: 'inherit' }).status ?? 1);
}

const argv = process.argv.slice(2);
const bare = argv.indexOf('--fault');
// Without a value it has a usual one, which parseArgs cannot say.
if (bare >= 0 && (argv[bare + 1] ?? '--').startsWith('--'))
  argv.splice(bare, 1, '--fault=status=503');
const { values: asked } = parseArgs({
  args: argv,
  options: {
    fault: { type: 'string' },
    prompt: { type: 'string', default: '@tokens 12' },
    cold: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const BAR = 24;
/** @type {Record<string, string>} */
const nouns = {
  'stream data': 'read of the upstream',
  'chunk frame': 'frame into the ring',
  'deliver taken': 'frame out of the ring',
  'deliver sent': 'sent to the socket',
};

/** @typedef {{ atNs: bigint, thread: string, stage: string, step: string, session: number, stream: number, bytes?: number, [more: string]: any }} Point */

/** @type {typeof import('../src/index.ts')} */
const { createEngine } = await import('../dist/src/index.js');
const { WebSocket } = await import('ws');

/** @type {Point[]} */
const points = [];
const ear = new BroadcastChannel('millrace-trace');
ear.onmessage = (/** @type {any} */ { data }) => points.push(...data);

const engine = createEngine({
  server: { port: 0 },
  admin: { enabled: false },
  log: { level: 'silent' },
  threads: { workers: 1 },
  balance: { loadBalanceStrategy: 'RoundRobin' },
  demo: { enabled: true, firstTokenMs: 20, tokensPerSecond: 200 },
});
const { url } = await engine.listen();
const first = asked.cold ? undefined : await turn('@tokens 3');
// What the first turn leaves to say belongs to no other.
if (first !== undefined) await until(() => points.some(({ stage }) => stage === 'session:end'));
const before = process.hrtime.bigint();
const next = first === 'simulated-a' ? 'simulated-b' : 'simulated-a';
const wish = asked.fault === undefined ? '' : `\n@fault only=${next} ${asked.fault}`;
await turn(`${asked.prompt}${wish}`);
// What other threads heard comes a little later.
await until(() => points.some((point) => point.stage === 'session:end' && point.atNs > before));
await engine.close();
ear.close();
const mine = points
  .filter(({ atNs }) => atNs >= before)
  .toSorted((a, b) => (a.atNs < b.atNs ? -1 : 1));
print(mine);

/** One request over a WebSocket of its own; the upstream that answered. @param {string} input @returns {Promise<string | undefined>} */
function turn(input) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url}/v1/responses`, { perMessageDeflate: false });
    socket.once('error', reject);
    socket.once('open', () =>
      socket.send(JSON.stringify({ type: 'response.create', response: { model: 'demo', input } })),
    );
    /** @type {string | undefined} */
    let upstream;
    socket.on('message', (data) => {
      const event = JSON.parse(/** @type {Buffer} */ (data).toString());
      if (!/^(response\.(completed|failed|incomplete)|error)$/.test(event.type)) return;
      upstream = event.response?.x_millrace?.upstream;
      socket.close(1000);
    });
    socket.once('close', () => resolve(upstream));
  });
}

/** @param {() => boolean} condition */
async function until(condition) {
  const deadline = Date.now() + 5_000;
  while (!condition() && Date.now() < deadline) await new Promise((go) => setTimeout(go, 25));
}

/** @param {readonly Point[]} all */
function print(all) {
  const start = all[0]?.atNs ?? 0n;
  const micros = (/** @type {Point} */ point) => Number(point.atNs - start) / 1_000;
  if (asked.json) {
    for (const { atNs: _, ...rest } of all)
      process.stdout.write(`${JSON.stringify({ atUs: micros({ atNs: _, ...rest }), ...rest })}\n`);
    return;
  }
  const rows = collapse(all);
  const last = Math.max(1, ...rows.map((row) => micros(row.to ?? row.point)));
  const out = ['       µs  thread  stage      bytes  0 ……………… time ……………… end  what'];
  for (const { point, to, bytes, text } of rows) {
    const bar = barOf(micros(point) / last, micros(to ?? point) / last);
    const size = bytes === undefined ? '' : String(bytes);
    const head = `${micros(point).toFixed(0).padStart(9)}  ${point.thread.padEnd(6)}  ${point.stage.padEnd(8)} ${size.padStart(7)}`;
    out.push(`${head}  ${bar}  ${text}`.slice(0, 100).trimEnd());
  }
  out.push(
    '',
    `${all.length} points; "…" stands for many. The simulated upstream waits 20 ms to speak.`,
  );
  process.stdout.write(`${out.join('\n')}\n`);
}

/** @param {number} from @param {number} to shares of the whole */
function barOf(from, to) {
  const at = Math.min(BAR - 1, Math.floor(from * BAR));
  const length = Math.max(1, Math.ceil((to - from) * BAR));
  return `${'·'.repeat(at)}${'█'.repeat(Math.min(length, BAR - at))}`.padEnd(BAR, '·');
}

/** @typedef {{ point: Point, to?: Point, bytes?: number, text: string }} Row */

/** One by one up to the first content, and what is the first or the last; of the rest one row for each kind. @param {readonly Point[]} all @returns {Row[]} */
function collapse(all) {
  const begun = all.find(({ stage, commit }) => stage === 'chunk' && commit);
  /** @type {Row[]} */
  const rows = [];
  /** @type {Map<string, Row & { n: number }>} */
  const many = new Map();
  for (const point of all) {
    const kind = `${point.stage} ${point.step}`;
    const marked = point.commit === true || point.terminal === true;
    if (!begun || point.atNs <= begun.atNs || marked || !(kind in nouns)) {
      const size = point.bytes === undefined ? {} : { bytes: point.bytes };
      rows.push({ point, ...size, text: wordsFor(point) });
      continue;
    }
    const group = many.get(kind) ?? { point, n: 0, text: '' };
    if (!many.has(kind)) rows.push(group);
    many.set(kind, group);
    group.n += 1;
    group.to = point;
    if (point.bytes !== undefined) group.bytes = (group.bytes ?? 0) + point.bytes;
    group.text = `… ${group.n} × ${nouns[kind]}`;
  }
  return rows;
}

/** @param {Point} point */
function wordsFor(point) {
  const { step, upstream, status, code, outcome, sequence, commit, terminal, closeCode } = point;
  const mark = commit ? ' (first)' : terminal ? ' (last)' : '';
  switch (`${point.stage} ${step}`) {
    case 'accept upgrade':
      return code ? `refused: ${code}` : `${point.dialect} session for ${point.principal}`;
    case 'admit message':
      return `message ${point.stream} into the up ring`;
    case 'route received':
      return `ring hop: message ${point.stream} is here`;
    case 'route picked':
      return `attempt ${point.attempt} goes to ${upstream}`;
    case 'stream connect':
      return `${upstream}: connect or reuse`;
    case 'stream sent':
      return `${upstream}: request written`;
    case 'stream head':
      return `${upstream}: status ${status}`;
    case 'stream data':
      return `${upstream}: a read`;
    case 'stream failed':
      return `${upstream}: ${code}`;
    case 'stream ended':
      return String(outcome);
    case 'chunk frame':
      return `frame ${sequence}${mark} into the ring`;
    case 'deliver taken':
      return `frame ${sequence}${mark} out of the ring`;
    case 'deliver sent':
      return 'sent to the socket';
    case 'stream:end end':
      return `the access line: ${outcome}`;
    case 'session:end end':
      return `closed with ${closeCode}`;
    default:
      return step;
  }
}
