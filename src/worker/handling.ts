/**
 * One message of a route's client, answered by the generator of its module.
 *
 *   run ─▶ room? ─▶ next() ─▶ frame ─┐      room: the client's credit; without it the generator is not pulled
 *            ▲───────────────────────┘
 *   left by: its return (settled) · its throw (one error frame) · the client leaving, the engine stopping (return() of the
 *   generator runs; one that does not end is abandoned after a while, and counted)
 */
import { asMillraceError, MillraceError } from '../errors.ts';
import { Flag } from '../memory/layout.ts';
import type { ModelList } from '../protocol/dialect.ts';
import type { RouteHandler, RouteRequest, RouteSession } from '../protocol/route.ts';
import { failureOf, frameOf, framesOf, type RouteFrames } from '../protocol/route-frames.ts';
import type { SessionFacts } from '../threads/messages.ts';
import type { Means } from './means.ts';
import type { Tap } from './tap.ts';
import { Asked } from './upstream-stream.ts';
import type { Running } from './vetting.ts';

/** A generator that was told to return has this long before nobody waits for it any more. */
const RETURN_MS_MAX = 5_000;

/** Frames in a row before the loop gets its turn: a generator that never waits must not keep its thread from everybody else. */
const FRAMES_IN_A_ROW_MAX = 64;

/** One message, and whose it is. */
export interface Ask {
  readonly handler: RouteHandler;
  readonly request: RouteRequest;
  /** What the handler sees of the session. */
  readonly session: RouteSession;
  readonly facts: SessionFacts;
  readonly models: ModelList;
}

export class Handling implements Running {
  readonly #means: Means;
  readonly #ask: Ask;
  readonly #tap: Tap;
  readonly #done: () => void;
  readonly #asked: Asked;
  readonly #leaving = new AbortController();
  #frames: RouteFrames | undefined;
  #roomy: (() => void) | undefined;
  #committed = false;
  #over = false;

  constructor(means: Means, ask: Ask, tap: Tap, done: () => void) {
    this.#means = means;
    this.#ask = ask;
    this.#tap = tap;
    this.#done = done;
    const { facts, models } = ask;
    const { address, ledger } = tap;
    const responseId = ask.request.id;
    this.#asked = new Asked(means, { responseId, facts, models, address, ledger });
  }

  start(): void {
    this.#run().catch((thrown) => this.#throw(thrown));
  }

  cancel(): void {
    if (this.#over) return;
    this.#end();
    this.#leave(new MillraceError('MILLRACE_CANCELLED', {}));
    this.#done();
  }

  abort(error: MillraceError): void {
    if (this.#over) return;
    this.#end();
    this.#fail(error);
    this.#leave(error);
    this.#settled();
  }

  async #run(): Promise<void> {
    const { signal } = this.#leaving;
    const { handler, request, session } = this.#ask;
    const frames = framesOf(handler(request, { upstream: this.#asked, signal, session }));
    this.#frames = frames;
    for (let frame = 1; ; frame++) {
      if (!this.#tap.clear()) await this.#room();
      else if (frame % FRAMES_IN_A_ROW_MAX === 0) await this.#turn();
      if (this.#over) return;
      const { done, value } = await frames.next();
      if (this.#over) return;
      if (done) break;
      this.#say(value);
    }
    this.#end();
    this.#tap.settle();
    this.#settled();
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#roomy = resolve;
      this.#tap.onResumed(resolve);
    });
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#means.soon(resolve));
  }

  #say(value: unknown): void {
    const { outputBytesMax } = this.#means.options.stream;
    const { bytes, binary } = frameOf(value, outputBytesMax);
    const flags = (binary ? Flag.binary : 0) | (this.#committed ? 0 : Flag.commit);
    this.#committed = true;
    this.#tap.frame(bytes, bytes.byteLength, flags, this.#tap.nextSequence);
  }

  /** What the handler threw. A generator that is over throws to nobody. */
  #throw(thrown: unknown): void {
    if (this.#over) return;
    this.#end();
    this.#fail(thrown);
    this.#leave(asMillraceError(thrown));
    this.#settled();
  }

  #fail(thrown: unknown): void {
    const means = this.#means;
    const { error, frame, fault } = failureOf(thrown);
    means.tally.error(error.code);
    if (fault) means.fault('route', fault);
    this.#tap.last(frame);
  }

  /** Nothing of the generator is said any more. */
  #end(): void {
    this.#over = true;
    this.#asked.close();
    this.#roomy?.();
  }

  #settled(): void {
    if (this.#tap.drained) this.#done();
    else this.#tap.onResumed(this.#done);
  }

  /** Tells the generator to return. */
  #leave(reason: MillraceError): void {
    this.#leaving.abort(reason);
    const means = this.#means;
    const patience = means.alarms.create(() => {
      patience.free();
      means.tally.abandoned();
      const late = `a handler did not end within ${RETURN_MS_MAX} ms after it was told to`;
      means.fault('route', new MillraceError('MILLRACE_INTERNAL', { reason: late }));
    });
    patience.set(means.clock.now() + RETURN_MS_MAX);
    // What it throws on its way out, nobody waits for.
    this.#returned()
      .catch(() => {})
      .finally(() => patience.free());
  }

  async #returned(): Promise<void> {
    await this.#frames?.return?.();
  }
}
