/**
 * The coordinator's life, as main keeps it: started, watched, replaced. Streams never wait for it: workers go on with the table it
 * left, and the next one takes the table over.
 */
import { MillraceError } from '../errors.ts';
import type { ThreadCells } from '../memory/contract.ts';
import type { Options } from '../options/schema.ts';
import type { Clock, Ticker } from '../policy/ports.ts';
import type { Fact } from '../threads/facts.ts';
import type { Configuration, FromCoordinator, ToCoordinator } from '../threads/messages.ts';
import { COORDINATOR_ROW } from '../threads/roster.ts';
import type { Spawned } from '../threads/spawn.ts';
import { Pulse } from './pulse.ts';

const RESTART_PAUSE_MS = 50;
const RESTART_PAUSE_MS_MAX = 5_000;

type Coordinator = Spawned<FromCoordinator, ToCoordinator>;

interface Question {
  resolve(): void;
  reject(error: MillraceError): void;
}

export class Coordination {
  readonly #spawn: (generation: number, configuration: Configuration) => Coordinator;
  readonly #cells: ThreadCells;
  readonly #options: Options;
  readonly #clock: Clock;
  readonly #ticker: Ticker;
  readonly #fact: (fact: Fact) => void;
  readonly #questions = new Map<number, Question>();
  /** The newest options, and those changes of which no coordinator has written the rows yet, with their epochs. */
  #configuration: Configuration;
  readonly #unwritten = new Map<() => void, number>();
  #nextQuestion = 1;
  #thread: Coordinator | undefined = undefined;
  #serving = false;
  #stopping = false;
  #failures = 0;
  readonly #pulse: Pulse;
  #stopWatch: (() => void) | undefined = undefined;
  #stopped: (() => void) | undefined = undefined;

  constructor(parts: {
    spawn(generation: number, configuration: Configuration): Coordinator;
    configuration: Configuration;
    cells: ThreadCells;
    clock: Clock;
    ticker: Ticker;
    fact(fact: Fact): void;
  }) {
    this.#spawn = (generation, configuration) => parts.spawn(generation, configuration);
    this.#configuration = parts.configuration;
    this.#cells = parts.cells;
    this.#pulse = new Pulse(parts.cells, COORDINATOR_ROW);
    // How threads are watched stays as it was at the start.
    this.#options = parts.configuration.options;
    this.#clock = parts.clock;
    this.#ticker = parts.ticker;
    this.#fact = (fact) => parts.fact(fact);
  }

  get serving(): boolean {
    return this.#serving;
  }

  /** Starts the first one; throws MILLRACE_START_FAILED when it is not ready in time. */
  async start(): Promise<void> {
    const { startTimeoutMs, heartbeatMs, hungAfterMs } = this.#options.threads;
    await new Promise<void>((resolve, reject) => {
      const fail = (reason: string) => {
        cancel();
        reject(new MillraceError('MILLRACE_START_FAILED', { thread: 'coordinator', reason }));
      };
      const cancel = this.#ticker.after(startTimeoutMs, () =>
        fail(`it was silent for ${startTimeoutMs} ms`),
      );
      const thread = this.#launch(() => {
        cancel();
        resolve();
      });
      void thread.gone.then(fail);
    });
    const periodMs = Math.max(heartbeatMs, hungAfterMs / 20);
    this.#stopWatch = this.#ticker.every(periodMs, () => this.#watch());
  }

  /**
   * Changed options, whose rows the coordinator writes: this one, or, should it die over it, the next, which is started with the newest
   * anyway. Resolves when they are written; or after the time a replacement may take, because nobody else should wait for longer.
   */
  configure(configuration: Configuration): Promise<void> {
    const { hungAfterMs, startTimeoutMs } = this.#options.threads;
    return new Promise((resolve) => {
      const written = () => {
        cancel();
        this.#unwritten.delete(written);
        resolve();
      };
      const cancel = this.#ticker.after(hungAfterMs + startTimeoutMs, written);
      this.#unwritten.set(written, configuration.epoch);
      this.#configuration = configuration;
      // Also to one that still starts: messages wait for it.
      if (!this.#thread) return;
      const id = this.#nextQuestion++;
      // Lost with its thread: the next one's `ready` says the same.
      this.#questions.set(id, { resolve: written, reject: () => {} });
      this.#thread.channel.post({ type: 'configure', configuration, id });
    });
  }

  /** Takes an upstream out of choice, or back in. Rejects with a typed error when there is no such upstream. */
  drain(upstream: string, drained: boolean): Promise<void> {
    return this.#ask((id) => ({ type: 'drain', upstream, drained, id }));
  }

  /** Another weight than the configured one; 0: that one again. Rejects as `drain`. */
  weigh(upstream: string, weight: number): Promise<void> {
    return this.#ask((id) => ({ type: 'weigh', upstream, weight, id }));
  }

  #ask(message: (id: number) => ToCoordinator): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#serving || !this.#thread) {
        const reason = 'it is being replaced';
        return reject(new MillraceError('MILLRACE_COORDINATOR_LOST', { reason }));
      }
      const id = this.#nextQuestion++;
      this.#questions.set(id, { resolve, reject });
      this.#thread.channel.post(message(id));
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#stopWatch?.();
    this.#caughtUp(this.#configuration.epoch);
    const thread = this.#thread;
    if (!thread) return;
    const asked = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    thread.channel.post({ type: 'stop' });
    const { hungAfterMs } = this.#options.threads;
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#ticker.after(hungAfterMs, resolve);
    });
    await Promise.race([asked, thread.gone, late]);
    // A deadline left behind would keep the process alive.
    cancel();
    await thread.end();
  }

  #launch(ready: () => void): Coordinator {
    const generation = this.#cells.renew(COORDINATOR_ROW);
    const configuration = this.#configuration;
    const thread = this.#spawn(generation, configuration);
    this.#thread = thread;
    this.#pulse.restart(this.#clock.now());
    thread.channel.listen((message) => {
      switch (message.type) {
        case 'ready':
          this.#serving = true;
          this.#failures = 0;
          this.#pulse.restart(this.#clock.now());
          this.#fact({ fact: 'coordinator-ready', generation });
          this.#caughtUp(configuration.epoch);
          return ready();
        case 'fact':
          return this.#fact(message.fact);
        case 'answer':
          return this.#answer(message.id, message.error && MillraceError.fromWire(message.error));
        case 'stopped':
          return this.#stopped?.();
      }
    });
    void thread.gone.then((reason) => this.#lost(thread, generation, reason));
    return thread;
  }

  /** A new coordinator has written what it was started with. */
  #caughtUp(epoch: number): void {
    for (const [written, of] of this.#unwritten) if (of <= epoch) written();
  }

  #answer(id: number, error: MillraceError | undefined): void {
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    if (error) question?.reject(error);
    else question?.resolve();
  }

  #lost(thread: Coordinator, generation: number, reason: string): void {
    if (this.#thread !== thread || this.#stopping) return;
    const wasServing = this.#serving;
    this.#serving = false;
    this.#thread = undefined;
    const error = new MillraceError('MILLRACE_COORDINATOR_LOST', { reason });
    for (const id of [...this.#questions.keys()]) this.#answer(id, error);
    this.#fact({ fact: 'coordinator-lost', generation, reason });
    if (!this.#stopWatch) return;
    const pauseMs = wasServing ? 0 : RESTART_PAUSE_MS * 2 ** this.#failures++;
    this.#ticker.after(Math.min(pauseMs, RESTART_PAUSE_MS_MAX), () => {
      if (!this.#stopping) this.#launch(() => {});
    });
  }

  #watch(): void {
    const { hungAfterMs, startTimeoutMs } = this.#options.threads;
    const limitMs = this.#serving ? hungAfterMs : startTimeoutMs;
    // It runs no codec: ending it is safe, and `gone` does the rest.
    if (this.#pulse.silentMs(this.#clock.now()) > limitMs) void this.#thread?.end();
  }
}
