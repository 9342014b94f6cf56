/**
 * A route as a function on main against the same route as a module in the workers: CPU of the engine's process per token, in turns, in
 * one run. `node dist/bench/load/function-route.js [rounds]`. Upstream and clients are a process of their own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { createEngine } from '../../src/engine/engine.ts';
import type { RouteHandler } from '../../src/protocol/route.ts';
import { median } from '../support/statistics.ts';

/** Slow enough that no two tokens of a stream are merged. */
const STREAMS = 40;
const TICK_MS = 20;
const SECONDS = 5;

const relayed: RouteHandler = async function* ({ text }, { upstream }) {
  yield* upstream.stream({ messages: text }).text();
};
// What the module form loads: this file.
export default relayed;

type Word = { up: string } | { run: string } | { done: number };

/** Upstream and clients. */
async function world(): Promise<void> {
  const answers = new Set<ServerResponse>();
  const chunk = (choice: object) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, ...choice }] })}\n\n`;
  const token = chunk({ delta: { content: ' token' } });
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    answers.add(response);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  setInterval(() => {
    for (const answer of answers) answer.write(token);
  }, TICK_MS);
  process.on('message', (word: { run: string }) => {
    let tokens = 0;
    const sockets = Array.from({ length: STREAMS }, () => {
      const socket = new WebSocket(word.run, { perMessageDeflate: false });
      socket.on('open', () => socket.send('go'));
      socket.on('message', (data: Buffer) => (tokens += data.length / ' token'.length));
      return socket;
    });
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.terminate();
      for (const answer of answers) answer.end(chunk({ delta: {}, finish_reason: 'stop' }));
      answers.clear();
      process.send?.({ done: tokens });
    }, SECONDS * 1_000);
    timer.unref();
  });
  const { port } = server.address() as AddressInfo;
  process.send?.({ up: `http://127.0.0.1:${port}/v1` });
}

function heard(child: ChildProcess, key: string): Promise<unknown> {
  return new Promise((resolve) => {
    const listen = (word: Word) => {
      if (!(key in word)) return;
      child.off('message', listen);
      resolve((word as unknown as Record<string, unknown>)[key]);
    };
    child.on('message', listen);
  });
}

/** Microseconds of CPU per token: of the process, and of main alone. */
interface Figure {
  readonly all: number;
  readonly main: number;
}

const shown = ({ all, main }: Figure) =>
  `${all.toFixed(1)} µs of CPU per token, ${main.toFixed(1)} of them on main`;

/** The main thread's own time, as Linux counts it. */
function mainUs(): number {
  const text = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8');
  return Number(text.split(' ')[0]) / 1_000;
}

async function measure(rounds: number): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['world']);
  const url = String(await heard(child, 'up'));
  const engine = createEngine({
    server: { port: 0 },
    admin: { enabled: false },
    log: { level: 'error' },
    threads: { workers: 1 },
    upstreams: [{ name: 'bench', url, models: ['bench'], maxConnections: 4_096 }],
  });
  engine.route('/module', new URL(import.meta.url)).route('/function', relayed);
  const address = await engine.listen();
  const figures = { module: [] as Figure[], function: [] as Figure[] };
  for (let round = 0; round <= rounds; round++) {
    for (const name of ['module', 'function'] as const) {
      const before = process.cpuUsage();
      const mainBefore = mainUs();
      child.send({ run: `${address.url}/${name}` });
      const tokens = Number(await heard(child, 'done'));
      const { user, system } = process.cpuUsage(before);
      const figure = { all: (user + system) / tokens, main: (mainUs() - mainBefore) / tokens };
      // The first round warms up.
      if (round > 0) figures[name].push(figure);
      process.stdout.write(`${name}: ${shown(figure)}, ${tokens} tokens\n`);
    }
  }
  for (const [name, all] of Object.entries(figures)) {
    const of = (part: keyof Figure) => median(all.map((figure) => figure[part]));
    const middle = { all: of('all'), main: of('main') };
    process.stdout.write(`median of ${rounds}, ${name}: ${shown(middle)}\n`);
  }
  await engine.close();
  child.kill();
}

// The module form is loaded in workers too: only the program itself measures.
if (process.argv[1] === fileURLToPath(import.meta.url) && process.send === undefined) {
  await measure(Number(process.argv[2] ?? 5));
} else if (process.argv[2] === 'world' && process.send !== undefined) await world();
