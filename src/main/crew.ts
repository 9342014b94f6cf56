/**
 * The workers' lives, as main keeps them: started, watched, replaced. When a worker is lost, everything it had published is still
 * delivered; its uncommitted requests run again on the next incarnation (once), its committed ones end with their epitaph.
 *
 *     starting ──ready──▶ serving ──ask──▶ gone
 *         │                  │ died, or no heartbeat for hungAfterMs
 *         └──────────────────┴──▶ buried ──▶ starting (after a pause if it never was ready)
 */
import { asMillraceError, MillraceError } from '../errors.ts';
import type { Slab, ThreadCells } from '../memory/contract.ts';
import { Kind } from '../memory/layout.ts';
import { createPump, type Pump } from '../memory/signal.ts';
import type { Options } from '../options/schema.ts';
import type { Clock, Ticker } from '../policy/ports.ts';
import type { Fact } from '../threads/facts.ts';
import type { Configuration } from '../threads/messages.ts';
import type { AuthDesk } from '../threads/questions.ts';
import { slabOwner, WORKER_ROW } from '../threads/roster.ts';
import type { Incarnation, WorkerPool } from '../threads/worker-pool.ts';
import type { Counts } from './counts.ts';
import type { Deliver } from './deliver.ts';
import { Link } from './link.ts';
import { Pulse } from './pulse.ts';
import type { Request, Requests } from './requests.ts';
import type { Sessions } from './session.ts';

/** A request that took two workers with it is answered with a failure: it may be what kills them. */
const RERUNS_MAX = 1;
/** Replacements that do not start cost a request nothing, but it does not wait for more of them than this. */
const FAILED_STARTS_MAX = 5;
/** Idle turns before main sleeps and wants a bell: none. Bells come paced, and a turn without records costs a system call. */
const POLL_TURNS = 0;
const RESTART_PAUSE_MS = 100;
const RESTART_PAUSE_MS_MAX = 5_000;

/** What starts and ends workers: the piscina pool, or the simulation's. */
export type Pool = Pick<WorkerPool, 'start' | 'end' | 'warm' | 'close' | 'configure'>;

export interface CrewEvents {
  fact(fact: Fact): void;
  /** A lost worker's request that cannot run again: main answers for it. */
  bury(request: Request): void;
  /** A worker row is free: fold its counters, zero its upstream rows. Once per incarnation. */
  fold(worker: number, generation: number): void;
  /** Its thread writes no more. Once per incarnation. */
  gone(worker: number, generation: number): void;
}

interface Member {
  readonly worker: number;
  readonly link: Link;
  readonly pulse: Pulse;
  incarnation: Incarnation | undefined;
  pump: Pump | undefined;
  serving: boolean;
  /** Starts in a row that failed. */
  failures: number;
}

export class Crew {
  readonly #pool: Pool;
  readonly #options: Options;
  readonly #cells: ThreadCells;
  readonly #slab: Slab;
  readonly #sessions: Sessions;
  readonly #requests: Requests;
  readonly #counts: Counts;
  readonly #clock: Clock;
  readonly #ticker: Ticker;
  readonly #events: CrewEvents;
  readonly #members: Member[];
  #deliver: Deliver | undefined = undefined;
  #stopWatch: (() => void) | undefined = undefined;
  #stopping = false;
  #stopped: Promise<void> | undefined = undefined;
  #draining = false;
  #asksAuth = false;
  #turn = 0;

  constructor(parts: {
    workers: number;
    pool: Pool;
    options: Options;
    cells: ThreadCells;
    slab: Slab;
    sessions: Sessions;
    requests: Requests;
    counts: Counts;
    clock: Clock;
    ticker: Ticker;
    events: CrewEvents;
  }) {
    this.#pool = parts.pool;
    this.#options = parts.options;
    this.#cells = parts.cells;
    this.#slab = parts.slab;
    this.#sessions = parts.sessions;
    this.#requests = parts.requests;
    this.#counts = parts.counts;
    this.#clock = parts.clock;
    this.#ticker = parts.ticker;
    this.#events = parts.events;
    this.#members = Array.from({ length: parts.workers }, (_, worker) => ({
      worker,
      link: new Link(worker, parts.slab, () => parts.counts.ringFull()),
      pulse: new Pulse(parts.cells, WORKER_ROW + worker),
      incarnation: undefined,
      pump: undefined,
      serving: false,
      failures: 0,
    }));
  }

  /** main's writing sides, by worker. */
  get links(): readonly Link[] {
    return this.#members.map((member) => member.link);
  }

  /** Workers that serve now, of how many. */
  get serving(): number {
    return this.#members.filter((member) => member.serving).length;
  }
  get size(): number {
    return this.#members.length;
  }

  /** Does the user's code decide who comes in? */
  get asksAuth(): boolean {
    return this.#asksAuth;
  }

  /** Where to ask it, with the worker: those that serve take turns. Undefined: none serves now. */
  authDesk(): { worker: number; desk: AuthDesk } | undefined {
    for (let n = 0; n < this.#members.length; n++) {
      const { worker, serving, incarnation } = this.#members[this.#turn++ % this.#members.length];
      const desk = incarnation?.auth;
      if (serving && desk) return { worker, desk };
    }
    return undefined;
  }

  /** What an operator sees of each worker. */
  status(): { worker: number; generation: number; serving: boolean; beats: number }[] {
    return this.#members.map(({ worker, incarnation, serving }) => ({
      worker,
      generation: incarnation?.generation ?? 0,
      serving,
      beats: this.#cells.beats(WORKER_ROW + worker) >>> 0,
    }));
  }

  /** Starts every worker; throws MILLRACE_START_FAILED when one is not ready in time. */
  async start(deliver: Deliver): Promise<void> {
    this.#deliver = deliver;
    for (const member of this.#members) this.#launch(member);
    const { heartbeatMs, hungAfterMs, startTimeoutMs } = this.#options.threads;
    let cancel = () => {};
    const late = new Promise<never>((_, reject) => {
      const reason = `it was silent for ${startTimeoutMs} ms`;
      const error = new MillraceError('MILLRACE_START_FAILED', { thread: 'worker', reason });
      cancel = this.#ticker.after(startTimeoutMs, () => reject(error));
    });
    const ready = Promise.all(this.#incarnations().map((each) => each.ready));
    await Promise.race([ready, late]).finally(cancel);
    // Often enough to be late by a twentieth; every look wakes an idle main.
    const periodMs = Math.max(heartbeatMs, hungAfterMs / 20);
    this.#stopWatch = this.#ticker.every(periodMs, () => this.#watch());
    this.#warm();
  }

  /** Changed options, for every worker and for those that replace them. */
  configure(configuration: Configuration): void {
    this.#pool.configure(configuration);
    for (const each of this.#incarnations()) each.configure(configuration);
  }

  /** No new turns; running ones finish. Also for workers that start from now on. */
  drain(): void {
    this.#draining = true;
    this.#order(Kind.drain);
  }

  /** Asks every worker to end its streams with a failure and to return, delivers what they still said, closes the pool. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    this.#stopWatch?.();
    this.#order(Kind.stop);
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#ticker.after(this.#options.threads.hungAfterMs, resolve);
    });
    const all = this.#incarnations().map((each) => each.gone);
    await Promise.race([Promise.all(all), late]);
    // A deadline left behind would keep the process alive.
    cancel();
    for (const member of this.#members) {
      member.pump?.stop();
      if (member.serving && member.incarnation) this.#pool.end(member.incarnation);
    }
    await this.#pool.close();
  }

  #incarnations(): Incarnation[] {
    return this.#members.flatMap((member) => member.incarnation ?? []);
  }

  #order(kind: number): void {
    for (const { link } of this.#members) link.order(kind);
  }

  #launch(member: Member): void {
    const { worker, link } = member;
    const incarnation = this.#pool.start(worker, {
      bell: () => this.#bell(member, incarnation),
      fact: (fact) => this.#events.fact(fact),
    });
    member.incarnation = incarnation;
    member.pump = createPump({
      consumer: incarnation.down,
      drain: () => this.#drainOnce(incarnation),
      soon: (task) => this.#ticker.soon(task),
      turnsMax: POLL_TURNS,
    });
    member.pulse.restart(this.#clock.now());
    link.attach(incarnation);
    if (this.#draining) link.order(Kind.drain);
    incarnation.ready.then(
      () => this.#ready(member, incarnation),
      (error: MillraceError) => this.#unready(error),
    );
    incarnation.gone.then(
      (reason) => this.#gone(member, incarnation, reason),
      () => {},
    );
  }

  #ready(member: Member, incarnation: Incarnation): void {
    if (member.incarnation !== incarnation) return;
    member.serving = true;
    this.#asksAuth ||= incarnation.auth?.present ?? false;
    member.failures = 0;
    member.pulse.restart(this.#clock.now());
    const { worker } = member;
    this.#events.fact({ fact: 'worker-ready', worker, generation: incarnation.generation });
    // It took the warm thread.
    if (this.#stopWatch) this.#warm();
  }

  /** At the first start `start` throws it; later nobody else says why a worker does not come back. */
  #unready({ message }: MillraceError): void {
    if (!this.#stopWatch || this.#stopping) return;
    this.#events.fact({ fact: 'fault', where: 'starting a worker', text: message });
  }

  #warm(): void {
    // Without it a replacement only takes longer.
    this.#pool.warm().catch(() => {});
  }

  #bell(member: Member, incarnation: Incarnation): void {
    if (member.incarnation !== incarnation) return;
    member.link.resume();
    member.pump?.ring();
  }

  #drainOnce(incarnation: Incarnation): number {
    return this.#deliver?.batch(incarnation.down, this.#clock.now()) ?? 0;
  }

  /** A loop that does not turn is dead, whatever its thread says. */
  #watch(): void {
    const nowMs = this.#clock.now();
    const { hungAfterMs, startTimeoutMs } = this.#options.threads;
    for (const member of this.#members) {
      // Space in the slab, which all share, may have come back without a bell of this worker.
      member.link.resume();
      // A replacement may take its time to start, but not for ever.
      const limitMs = member.serving ? hungAfterMs : startTimeoutMs;
      if (member.pulse.silentMs(nowMs) > limitMs) this.#retire(member, limitMs);
    }
  }

  #retire(member: Member, limitMs: number): void {
    const { incarnation } = member;
    if (!incarnation) return;
    this.#pool.end(incarnation);
    this.#lose(member, incarnation, `no heartbeat for ${limitMs} ms`);
  }

  #gone(member: Member, incarnation: Incarnation, reason: string | undefined): void {
    if (!this.#stopping && member.incarnation === incarnation) {
      this.#lose(member, incarnation, reason ?? 'it returned without being asked');
    }
    if (this.#stopping) {
      // The last frames of a worker that was asked to stop.
      while (this.#drainOnce(incarnation) > 0);
      if (member.incarnation === incarnation) member.serving = false;
    }
    // Only now can nobody write into its blocks any more.
    this.#slab.sweep(slabOwner(WORKER_ROW + member.worker, incarnation.generation));
    this.#events.gone(member.worker, incarnation.generation);
  }

  #lose(member: Member, incarnation: Incarnation, reason: string): void {
    const { worker } = member;
    const wasServing = member.serving;
    // A thread that never began has read no request: whoever waited for it has not had its rerun.
    const hasBegun = wasServing || this.#cells.state(WORKER_ROW + worker) !== 0;
    const mayWait = ({ reruns }: Request) =>
      hasBegun ? reruns < RERUNS_MAX : member.failures < FAILED_STARTS_MAX;
    while (this.#drainOnce(incarnation) > 0);
    member.pump?.stop();
    member.serving = false;
    member.incarnation = undefined;
    member.link.detach();
    this.#counts.workerLost();
    this.#sessions.resync(worker);
    this.#events.fold(worker, incarnation.generation);
    const again: Request[] = [];
    let failed = 0;
    for (const request of this.#requests.ofWorker(worker)) {
      if (!request.committed && mayWait(request)) {
        if (hasBegun) {
          request.reruns++;
          this.#counts.rerun();
        }
        again.push(request);
      } else {
        failed++;
        this.#events.bury(request);
      }
    }
    const { generation } = incarnation;
    const rerun = again.length;
    this.#events.fact({ fact: 'worker-lost', worker, generation, reason, rerun, failed });
    this.#relaunch(member, wasServing);
  }

  /** At once after a life that served; after a growing pause when it cannot even start. */
  #relaunch(member: Member, atOnce: boolean): void {
    const launch = () => {
      if (this.#stopping) return;
      try {
        this.#launch(member);
      } catch (thrown) {
        this.#events.fact({
          fact: 'fault',
          where: 'starting a worker',
          text: asMillraceError(thrown).message,
        });
        return this.#relaunch(member, false);
      }
      for (const request of this.#requests.ofWorker(member.worker)) {
        if (request.committed) continue;
        member.link.request(request);
      }
    };
    if (atOnce) return launch();
    const pauseMs = Math.min(RESTART_PAUSE_MS * 2 ** member.failures++, RESTART_PAUSE_MS_MAX);
    this.#ticker.after(pauseMs, launch);
  }
}
