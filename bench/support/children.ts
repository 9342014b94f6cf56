/**
 * Processes of a bench: servers that say their port, the load generator, the upstream. Every one of them ends with our
 * end of its stdin, so that nothing is left behind when the driver dies.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { must } from '../../src/must.ts';

const peers = fileURLToPath(new URL('./peers/', import.meta.url));
/** Written by scripts/bench.mjs with `cc`. */
const binaries = fileURLToPath(new URL('../../../bench/support/bin/', import.meta.url));

export type Side = 'server' | 'client' | 'anywhere';

/** taskset in front, where there are cores to keep apart. */
function placed(side: Side, pin: boolean, command: string, args: string[]): [string, string[]] {
  if (!pin || side === 'anywhere' || availableParallelism() < 2) return [command, args];
  return ['taskset', ['-c', side === 'server' ? '0' : '1', command, ...args]];
}

export class Child {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: ((line: string | undefined) => void)[] = [];
  readonly #unread: string[] = [];
  #ended = false;

  constructor(command: string, args: string[]) {
    this.#process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process.stdin?.on('error', () => {});
    must(this.#process.stdout, 'stdout is a pipe');
    this.#lines = createInterface({ input: this.#process.stdout });
    this.#lines.on('line', (line) => {
      const next = this.#waiting.shift();
      if (next) next(line);
      else this.#unread.push(line);
    });
    this.#process.on('error', () => this.#end());
    this.#process.on('close', () => this.#end());
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  #end(): void {
    this.#ended = true;
    for (const next of this.#waiting.splice(0)) next(undefined);
  }

  /** The next JSON line; lines that are none (a log) are passed over. */
  async answer<T>(): Promise<T> {
    for (;;) {
      const line =
        this.#unread.shift() ??
        (this.#ended
          ? undefined
          : await new Promise<string | undefined>((resolve) => this.#waiting.push(resolve)));
      if (line === undefined) throw new Error('a process of the bench ended before it answered');
      if (line.startsWith('{')) return JSON.parse(line) as T;
    }
  }

  /** Writes a line and waits for the answer. */
  ask<T>(line: string): Promise<T> {
    this.#process.stdin?.write(`${line}\n`);
    return this.answer<T>();
  }

  /** Takes it off the CPU while another is measured (for servers that work by themselves), and puts it back. */
  stop(): void {
    this.#process.kill('SIGSTOP');
  }

  resume(): void {
    this.#process.kill('SIGCONT');
  }

  async end(): Promise<void> {
    this.#process.stdin?.end();
    if (this.#ended) return;
    const late = setTimeout(() => this.#process.kill('SIGKILL'), 5_000);
    await once(this.#process, 'close');
    clearTimeout(late);
  }
}

export interface Server {
  readonly name: string;
  readonly child: Child;
  readonly port: number;
}

/** Starts peers/`file` and waits until it listens. */
export async function startServer(
  name: string,
  file: string,
  settings: object,
  pin: boolean,
): Promise<Server> {
  const flags = [
    '--expose-gc',
    '--no-warnings',
    ...(process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter(Boolean),
  ];
  const args = [...flags, `${peers}${file}.js`, JSON.stringify(settings)];
  const child = new Child(...placed('server', pin, process.execPath, args));
  const { port } = await child.answer<{ port: number }>();
  return { name, child, port };
}

export async function startUpstream(pin: boolean): Promise<Server> {
  const child = new Child(...placed('client', pin, `${binaries}upstream`, []));
  const { port } = await child.answer<{ port: number }>();
  return { name: 'upstream', child, port };
}

/** What the load generator saw in its window. Times of the server are nanoseconds of CPU. */
export interface Load {
  readonly cpuNs: number;
  readonly mainNs: number;
  readonly threads: number;
  readonly ownNs: number;
  readonly seconds: number;
  readonly messages: number;
  readonly tokens: number;
  readonly bytes: number;
  readonly wakeups: number;
  readonly framesAll: number;
  readonly tokensAll: number;
  readonly outOfOrder: number;
  readonly foreign: number;
  readonly ended: number;
  readonly broken: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly failure: string;
}

function loadArgs(mode: string, options: Readonly<Record<string, string | number>>): string[] {
  return [mode, ...Object.entries(options).map(([key, value]) => `${key}=${value}`)];
}

export function startLoad(
  mode: string,
  options: Readonly<Record<string, string | number>>,
  pin: boolean,
): Child {
  return new Child(...placed('client', pin, `${binaries}load`, loadArgs(mode, options)));
}

/** One window against a server. Throws when a frame was lost, came twice or out of order: a wrong answer has no speed. */
export async function runLoad(
  mode: string,
  server: Server,
  options: Readonly<Record<string, string | number>>,
  pin: boolean,
): Promise<Load> {
  const all = { port: server.port, pid: server.child.pid, ...options };
  const child = startLoad(mode, all, pin);
  const load = await child.answer<Load>();
  await child.end();
  if (load.outOfOrder + load.foreign + load.broken > 0) {
    const counts = `${load.outOfOrder} out of order, ${load.foreign} foreign, ${load.broken} broken`;
    throw new Error(`${server.name}: ${counts}: ${load.failure}`);
  }
  return load;
}

/** Share of the time that the host or others took from the worst core, over 120 ms. */
export async function stolenShare(): Promise<number> {
  const child = startLoad('quiet', { seconds: 0.12 }, false);
  const { gapShare } = await child.answer<{ gapShare: number }>();
  await child.end();
  return gapShare;
}
