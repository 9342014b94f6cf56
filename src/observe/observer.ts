/** Where all facts of the engine arrive, on main: each goes to whoever tells it further. */
import { asMillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Clock, Ticker } from '../policy/ports.ts';
import type { Fact } from '../threads/facts.ts';
import { tellEnd } from './channels.ts';
import { EventRing } from './event-ring.ts';
import type { Exemplars } from './exemplars.ts';
import { logFact } from './fact-log.ts';
import { LineBound } from './line-bound.ts';
import type { Log } from './log.ts';
import type { Dimensions } from './metrics.ts';
import type { Spans } from './spans.ts';
import { noteStream } from './stream-exemplars.ts';

export interface ObserverParts {
  readonly options: Pick<Options, 'log' | 'observe'>;
  readonly log: Log;
  readonly clock: Clock;
  readonly ticker: Ticker;
  /** Also told everything. */
  readonly hear?: (fact: Fact) => void;
  readonly exemplars: Exemplars;
  readonly dimensions: Dimensions;
  readonly spans?: Spans;
}

export class Observer {
  readonly events: EventRing;
  readonly #parts: ObserverParts;
  readonly #bound: LineBound;
  #options: ObserverParts['options'];

  constructor(parts: ObserverParts) {
    const { options, log, clock, ticker } = parts;
    this.#parts = parts;
    this.#options = options;
    this.events = new EventRing(options.observe.eventsMax);
    this.#bound = new LineBound(options.log.linesPerSecondMax, clock, ticker, (of, lines) =>
      log.warn({ event: 'suppressed', of, lines }, `suppressed ${lines} lines of ${of}`),
    );
  }

  /** Also a method to hand over: it needs no `this`. */
  readonly fact = (fact: Fact): void => {
    const { log, clock, exemplars, dimensions, spans } = this.#parts;
    this.events.fact(fact, clock.wall());
    if (fact.fact === 'stream-ended') noteStream(exemplars, dimensions, fact);
    tellEnd(fact);
    if (fact.fact === 'stream-ended' && spans) this.#guarded(() => spans.stream(fact));
    logFact(log, fact, this.#options.log.streams, this.#bound);
    this.#parts.hear?.(fact);
  };

  /** Changed options: which lines are written. */
  reconfigure(options: Options): void {
    this.#options = options;
    this.#parts.log.reconfigure?.(options.log);
  }

  /** The application's tracer may throw; the engine goes on. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.fault(thrown, 'otel');
    }
  }

  /** Says what it still owes. */
  stop(): void {
    this.#bound.stop();
  }

  /** Something threw that should not. The stack goes to the log only. */
  fault(thrown: unknown, where: string): void {
    const { log, clock } = this.#parts;
    const text = asMillraceError(thrown).message;
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    this.events.add('fault', { where, text }, clock.wall());
    if (!this.#bound.admits('fault')) return;
    log.error({ event: 'fault', where, stack }, `fault in ${where}: ${text}`);
  }
}
