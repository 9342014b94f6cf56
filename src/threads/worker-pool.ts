/**
 * The relay threads: a piscina pool with one resident task per thread. piscina starts, counts and refills threads; it never
 * stands on a token's path. An incarnation is one life of one worker row: its own pair of rings, its own port.
 *
 * Two rules learnt from crashes: no AbortSignal on a running task, and no termination of a thread whose `inCodec` cell is set.
 * Therefore residents end by being asked (a `stop` record), and only a retired thread is terminated.
 */
import { MessageChannel } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { MillraceError } from '../errors.ts';
import type { RingConsumer, RingProducer, ThreadCells } from '../memory/contract.ts';
import { allocateRing, ringConsumer, ringProducer } from '../memory/ring.ts';
import type { Fact } from './facts.ts';
import { threadFlags } from './flags.ts';
import type {
  Configuration,
  FromWorker,
  SharedHandles,
  ToWorker,
  WorkerStart,
} from './messages.ts';
import { channel } from './port.ts';
import { type AuthDesk, Questions } from './questions.ts';
import { WORKER_ROW } from './roster.ts';

/** Threads beyond the configured number: room for replacements of hung ones that have not ended yet. */
const SPARE_THREADS = 4;

export interface IncarnationEvents {
  /** The worker wrote into its down ring, or freed space in its up ring. */
  bell(): void;
  fact(fact: Fact): void;
}

/** One life of one worker. */
export interface Incarnation {
  readonly worker: number;
  readonly generation: number;
  readonly up: RingProducer;
  readonly down: RingConsumer;
  /** Tells it the changed options; one that still starts hears it when it is there. */
  configure(configuration: Configuration): void;
  /** Settles when the worker serves; rejects with a MillraceError when it ends before. */
  readonly ready: Promise<void>;
  /** Settles when its thread left the task: undefined = it returned as asked. Never rejects. */
  readonly gone: Promise<string | undefined>;
  readonly auth?: AuthDesk;
}

/** The threads themselves. They begin to load what they will need as soon as this is made. */
export class RelayThreads {
  readonly pool: Piscina<WorkerStart | null, void>;
  #closed: Promise<void> | undefined;

  constructor(workers: number) {
    this.pool = new Piscina<WorkerStart | null, void>({
      filename: new URL('../worker/entry.js', import.meta.url).href,
      minThreads: workers,
      maxThreads: workers + SPARE_THREADS,
      concurrentTasksPerWorker: 1,
      // A warm thread waits for the day it is needed.
      idleTimeout: Number.POSITIVE_INFINITY,
      // 'sync' would freeze a thread between tasks, sockets included.
      atomics: 'disabled',
      recordTiming: false,
      ...threadFlags(),
    });
    // A resident's failure arrives through its own promise; a thread that dies idle is refilled by piscina.
    this.pool.on('error', () => {});
  }

  /** Call after every resident is gone: closing a pool with residents would terminate them. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.pool.close();
    return this.#closed;
  }
}

export class WorkerPool {
  readonly #relays: RelayThreads;
  #configuration: Configuration;
  readonly #shared: SharedHandles;
  readonly #cells: ThreadCells;
  readonly #threads = new Map<Incarnation, number>();

  constructor(
    threads: RelayThreads,
    configuration: Configuration,
    shared: SharedHandles,
    cells: ThreadCells,
  ) {
    this.#relays = threads;
    this.#configuration = configuration;
    this.#shared = shared;
    this.#cells = cells;
  }

  /** What the next incarnations are started with. */
  configure(configuration: Configuration): void {
    this.#configuration = configuration;
  }

  start(worker: number, events: IncarnationEvents): Incarnation {
    const { port1, port2 } = new MessageChannel();
    const mine = channel<FromWorker, ToWorker>(port1);
    const { ringBytes } = this.#configuration.options.memory;
    const up = allocateRing(ringBytes);
    const down = allocateRing(ringBytes);
    const generation = this.#cells.renew(WORKER_ROW + worker);
    let thread = 0;
    const auth = new Questions((id, asked) => mine.post({ type: 'auth', id, asked }));
    const ready = new Promise<void>((resolve, reject) => {
      mine.listen((message) => {
        switch (message.type) {
          case 'bell':
            return events.bell();
          case 'fact':
            return events.fact(message.fact);
          case 'ready':
            thread = message.thread;
            auth.present = message.asksAuth;
            return resolve();
          case 'auth':
            return auth.answer(message.id, message.answer);
          case 'failed':
            return reject(MillraceError.fromWire(message.error));
        }
      });
    });
    const start: WorkerStart = {
      worker,
      generation,
      ...this.#configuration,
      shared: this.#shared,
      up,
      down,
      port: port2,
    };
    const gone = this.#relays.pool
      .run(start, { transferList: [port2] })
      .then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      )
      .finally(() => mine.flush());
    const incarnation: Incarnation = {
      worker,
      generation,
      up: ringProducer(up, mine.bell),
      down: ringConsumer(down, mine.bell),
      configure: (configuration) => mine.post({ type: 'configure', configuration }),
      ready: Promise.race([ready, gone.then((reason) => Promise.reject(lost(reason)))]),
      gone: gone.finally(() => {
        this.#threads.delete(incarnation);
        auth.close();
        mine.close();
      }),
      auth,
    };
    ready.then(
      () => this.#threads.set(incarnation, thread),
      () => {},
    );
    incarnation.ready.catch(() => {});
    return incarnation;
  }

  /** Has a thread beyond the residents ready, everything loaded, so that a lost worker is replaced in milliseconds. */
  async warm(): Promise<void> {
    await this.#relays.pool.run(null);
  }

  /**
   * Ends the thread of a hung incarnation, before its row is renewed. False when it may not be ended: it is inside a synchronous
   * codec (terminating there aborts the process; it will find itself retired when it comes out), or it never was ready.
   */
  end(incarnation: Incarnation): boolean {
    const number = this.#threads.get(incarnation);
    const thread = this.#relays.pool.threads.find((each) => each.threadId === number);
    if (!thread || this.#cells.inCodec(WORKER_ROW + incarnation.worker)) return false;
    void thread.terminate();
    return true;
  }

  /** Call after every incarnation is gone. */
  close(): Promise<void> {
    return this.#relays.close();
  }
}

function lost(reason: string | undefined): MillraceError {
  return new MillraceError('MILLRACE_START_FAILED', {
    thread: 'worker',
    reason: reason ?? 'it returned at once',
  });
}
