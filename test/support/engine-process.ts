/**
 * An engine in a process of its own, whose threads a test may kill: `startEngineProcess` is the test's side; run as a program, this
 * file is the other side.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BroadcastChannel } from 'node:worker_threads';
import { createEngine } from '../../src/engine/engine.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { FAULT_CHANNEL, type FaultOrder, type Role, type ThreadFault } from './fault-preload.ts';

/** A log line of the engine. */
export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly text: string;
  readonly fields: { readonly event?: string; readonly [key: string]: unknown };
  /** When it arrived here, performance.now() of the engine's process. */
  readonly atMs: number;
}

export interface EngineProcess {
  readonly url: string;
  readonly admin: string;
  readonly lines: readonly Line[];
  /** Lines with this event, in order. */
  facts(event: string): Line[];
  /** Does this to one thread of the role. Resolves when the order was given, with the time then. */
  strike(role: Role, fault: ThreadFault): Promise<number>;
  /** Puts other options into force. */
  update(options: UserOptions): Promise<void>;
  /** Exit code of the process after a close with drain. */
  close(): Promise<number | null>;
}

type Down =
  | { type: 'up'; url: string; admin: string }
  | { type: 'line'; line: Line }
  | { type: 'struck'; atMs: number }
  | { type: 'updated'; failure: string | undefined };
type Up =
  | { type: 'update'; options: UserOptions }
  | { type: 'strike'; role: Role; fault: ThreadFault }
  | { type: 'close' };

export async function startEngineProcess(options: UserOptions): Promise<EngineProcess> {
  const preload = new URL('./fault-preload.js', import.meta.url).href;
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(options)], {
    execArgv: ['--enable-source-maps', '--import', preload],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  const lines: Line[] = [];
  const struck: ((atMs: number) => void)[] = [];
  const updated: ((failure: string | undefined) => void)[] = [];
  const up = await new Promise<{ url: string; admin: string }>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the engine's process exited with ${code}`)));
    child.on('message', (message: Down) => {
      if (message.type === 'up') resolve(message);
      else if (message.type === 'line') lines.push(message.line);
      else if (message.type === 'updated') updated.shift()?.(message.failure);
      else struck.shift()?.(message.atMs);
    });
  });
  return {
    ...up,
    lines,
    facts: (event) => lines.filter((line) => line.fields.event === event),
    strike: (role, fault) =>
      new Promise((resolve) => {
        struck.push(resolve);
        tell(child, { type: 'strike', role, fault });
      }),
    update: (changed) =>
      new Promise((resolve, reject) => {
        updated.push((failure) => (failure === undefined ? resolve() : reject(new Error(failure))));
        tell(child, { type: 'update', options: changed });
      }),
    close: () => ended(child),
  };
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => {
    child.once('exit', resolve);
    tell(child, { type: 'close' });
  });
}

function tell(child: ChildProcess, message: Up): void {
  child.send(message);
}

async function serve(options: UserOptions): Promise<void> {
  const report = (message: Down) => process.send?.(message);
  const write =
    (level: Line['level']) =>
    (fields: object, text: string): void =>
      void report({
        type: 'line',
        line: { level, text, fields: { ...fields }, atMs: performance.now() },
      });
  const log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
  const engine = createEngine(options, { log });
  const { url, admin } = await engine.listen();
  const orders = new BroadcastChannel(FAULT_CHANNEL);
  orders.unref();
  process.on('message', (message: Up) => {
    if (message.type === 'close') {
      void engine.close({ drain: true }).then(() => process.disconnect());
      return;
    }
    if (message.type === 'update') {
      void engine.update(message.options).then(
        () => report({ type: 'updated', failure: undefined }),
        (error: Error) => report({ type: 'updated', failure: error.message }),
      );
      return;
    }
    const claim = new Int32Array(new SharedArrayBuffer(4));
    const order: FaultOrder = { role: message.role, fault: message.fault, claim };
    report({ type: 'struck', atMs: performance.now() });
    orders.postMessage(order);
  });
  report({ type: 'up', url, admin: admin ? `http://${admin.host}:${admin.port}` : '' });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await serve(JSON.parse(process.argv[2]) as UserOptions);
}
