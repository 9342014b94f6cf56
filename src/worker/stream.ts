/**
 * Stage ④: one running turn, from its openers to its one end. Attempts follow each other until content is committed, the
 * rules of policy/retry are used up, or the client goes.
 *
 *   start ─▶ choose ─▶ attempt ─┬─ committed ─▶ finished | failed            one terminal frame either way
 *              ▲          │     └─ failed before: another upstream at once, the same one after a wait
 *              └──────────┼────────┘
 *                         └─ slow: a second one runs beside it (hedge), the first with content stays, the other is closed
 *
 * An answer that fails behind its first content goes on elsewhere only where the operator asked for it (continuation.ts).
 */
import { asMillraceError, MillraceError } from '../errors.ts';
import { must } from '../must.ts';
import type { outcomes } from '../observe/metrics.ts';
import { Attempts, type RetryBudget } from '../policy/retry.ts';
import type { Encoder } from '../protocol/dialect.ts';
import type { ModelRequest } from '../protocol/request.ts';
import type { AttemptFact, StreamEnded } from '../threads/facts.ts';
import type { Alarm } from './alarms.ts';
import { attemptFailed } from './attempt-failed.ts';
import type { AttemptFailure } from './attempt-parts.ts';
import { Continuation } from './continuation.ts';
import { HeldTime } from './held-time.ts';
import { restAfter } from './key-ring.ts';
import type { Means } from './means.ts';
import { blame, type Place, type PlaceOutcome } from './place.ts';
import { PlaceWait } from './place-wait.ts';
import { tellPicked } from './points.ts';
import { RunningAttempt, type RunningEvents } from './running-attempt.ts';
import { type StreamFacts, streamEnded } from './stream-ended.ts';
import { StreamTrace } from './stream-trace.ts';
import type { Outlet } from './tap.ts';

/** Attempts told one by one; all are counted. */
const TRIES_MAX = 16;

type Outcome = (typeof outcomes)[number];

export class Stream implements RunningEvents {
  readonly facts: StreamFacts;
  readonly #means: Means;
  readonly #model: string;
  /** Until it is answered, or to its end where another one may go on with the answer. */
  #request: ModelRequest | undefined;
  readonly #encoder: Encoder;
  readonly #tap: Outlet;
  readonly #done: () => void;
  readonly #attempts: Attempts;
  readonly #startMs: number;
  readonly #startWallMs: number;
  #deadlineMs: number;
  /** The deadline; the wait before the next round comes out of `#wait`. */
  readonly #deadline: Alarm;
  #wait: Alarm | undefined;
  /** When a second attempt joins the first. */
  #hedge: Alarm | undefined;
  /** Attempts that run now: one, or two before the first content. */
  #runs: RunningAttempt[] = [];
  /** The one whose answer it is, or that was begun last. */
  #run: RunningAttempt | undefined;
  readonly #line: PlaceWait;
  /** The last attempt never left the process: its successor costs no budget. */
  #freeRetry = false;
  #failure: MillraceError | undefined;
  #committed = false;
  #firstDeltaMs = -1;
  #ended = false;
  readonly #continuation: Continuation | undefined;
  readonly #trace: StreamTrace | undefined;
  readonly #tries: AttemptFact[] = [];
  /** By our back-pressure, one attempt or two. */
  readonly #held = new HeldTime();

  /** `done`: everything this stream says is in the ring; its lane is free. */
  constructor(
    means: Means,
    facts: StreamFacts,
    request: ModelRequest,
    encoder: Encoder,
    tap: Outlet,
    done: () => void,
  ) {
    this.#means = means;
    this.facts = facts;
    this.#model = request.model;
    this.#request = request;
    this.#encoder = encoder;
    this.#tap = tap;
    this.#done = done;
    this.#attempts = new Attempts(means.options.stream);
    this.#startMs = means.clock.now();
    this.#startWallMs = means.clock.wall();
    this.#trace = StreamTrace.of(facts.trace, means.options.observe, means.random);
    this.#deadlineMs = this.#startMs + means.options.stream.deadlineMs;
    this.#deadline = means.alarms.create(() => this.#late());
    this.#line = new PlaceWait(means);
    this.#continuation = Continuation.of(means.options, request, tap.ledger);
    tap.onResumed(() => {
      for (const { attempt } of [...this.#runs]) attempt.goOn();
    });
    means.tally.started(facts.dialect);
  }

  start(): void {
    this.#deadline.set(this.#deadlineMs);
    this.#choose();
  }

  /** 'client': it asked for it, and gets its word for it. 'gone': nobody listens. */
  cancel(cause: 'client' | 'gone'): void {
    if (this.#ended) return;
    this.#drop();
    if (cause === 'client') this.#encode(() => this.#encoder.cancel());
    this.#end('cancelled', undefined, cause === 'client' ? 'asked' : 'left');
  }

  /** Ends it with a failure of ours (stopping). */
  abort(error: MillraceError): void {
    if (this.#ended) return;
    this.#drop();
    this.#fail(error);
  }

  committed(run: RunningAttempt): void {
    this.#settle(run);
    if (this.#committed) return;
    this.#committed = true;
    this.#firstDeltaMs = this.#means.clock.now() - this.#startMs;
    this.#deadline.off();
    this.#wait?.off();
    this.#hedge?.off();
    if (!this.#continuation) this.#request = undefined;
  }

  finished(run: RunningAttempt): void {
    this.#settle(run);
    this.#leave(run, 'succeeded', 'finished');
    this.#means.affinity.made(this.facts.turn.responseId, run.upstream);
    this.#end('finished', undefined);
  }

  failed(run: RunningAttempt, failure: AttemptFailure): void {
    if (this.#ended || !this.#runs.includes(run)) return;
    const { error } = failure;
    const rest = restAfter(this.#means, run, failure);
    this.#leave(run, rest.otherKey ? 'neither' : blame(error), error.code);
    const { responseId } = this.facts.turn;
    attemptFailed(this.#means, this.#tap.address, responseId, run.upstream, error);
    if (this.#committed) return this.#broken(run, error);
    this.#failure = error;
    if (error.failure.retry === 'never') {
      this.#drop();
      return this.#fail(error);
    }
    // Another key of the same upstream is as good as another upstream.
    if (!rest.otherKey) this.#attempts.failed(run.upstream.index, rest.floorMs);
    this.#freeRetry = !failure.sent;
    if (this.#runs.length === 0) this.#choose();
  }

  paused(): void {
    if (this.#held.hold(this.#means.clock.now())) this.#deadline.off();
  }

  resumed(): void {
    const ms = this.#held.release(this.#means.clock.now());
    if (ms === undefined || this.#committed) return;
    this.#deadlineMs += ms;
    this.#deadline.set(this.#deadlineMs);
  }

  #choose(): void {
    if (this.#ended) return;
    const { route, clock, random } = this.#means;
    const usable = route.usable(this.#model);
    const next = this.#attempts.next(usable, clock.now(), this.#deadlineMs, random.next());
    if (next.kind === 'wait') {
      this.#wait ??= this.#means.alarms.create(() => this.#choose());
      return this.#wait.set(next.untilMs);
    }
    // Whoever came before and waits for the same goes first.
    if (next.kind === 'go' && !this.#means.queue.ahead(this.#model)) return this.#go(next.among);
    const busy = next.kind === 'go' || (next.why === 'none' && route.couldWait);
    if (busy && !this.#failure) return this.#queue();
    this.#giveUp();
  }

  /** No upstream has room: in line with the others, for a while. */
  #queue(): void {
    this.#line.begin(
      this.#model,
      () => this.#try(),
      (error) => this.#fail(error),
    );
  }

  /** Its turn: is there room now? */
  #try(): boolean {
    const { route, clock, random } = this.#means;
    const usable = route.usable(this.#model);
    const next = this.#attempts.next(usable, clock.now(), this.#deadlineMs, random.next());
    if (next.kind !== 'go') return false;
    // Out of the line first: it may have to join it again.
    this.#line.end();
    this.#go(next.among);
    return true;
  }

  #go(among: readonly number[]): void {
    const { tally, budget, route, clock, affinity } = this.#means;
    let taken: RetryBudget | undefined;
    if (this.#attempts.made > 0) {
      if (!this.#freeRetry && !budget.take(tally.running, clock.now())) {
        tally.budgetExhausted();
        return this.#giveUp();
      }
      if (!this.#freeRetry) taken = budget;
      tally.failover();
    }
    const place = route.take(among, this.#model, affinity.home(this.#request?.previousId));
    if (place) return this.#begin(place, taken);
    taken?.undo(clock.now());
    if (this.#failure) this.#fail(this.#failure);
    else this.#queue();
  }

  /** `budget`: where it has a place. */
  #begin(place: Place, budget: RetryBudget | undefined): void {
    const means = this.#means;
    this.#attempts.begin();
    const { options } = means.route.upstream(place.upstream);
    tellPicked(this.#tap.address, options.name, this.#attempts.made);
    const request = this.#request;
    must(request, 'nobody else is asked once it is answered');
    try {
      const run = new RunningAttempt({
        means,
        request,
        encoder: this.#encoder,
        tap: this.#tap,
        trace: this.#trace,
        number: this.#attempts.made,
        place,
        budget,
        continuation: this.#continuation,
        events: this,
      });
      this.#runs.push(run);
      this.#run = run;
      if (this.#runs.length === 1 && !this.#committed) this.#planHedge();
    } catch (thrown) {
      budget?.give();
      place.leave('neither');
      means.queue.roomCame();
      const error = asMillraceError(thrown);
      if (error.code === 'MILLRACE_INTERNAL') means.fault('route', error);
      this.#drop();
      this.#fail(error);
    }
  }

  #planHedge(): void {
    const { hedgeAfterMs } = this.#means.options.stream;
    if (hedgeAfterMs === 0) return;
    this.#hedge ??= this.#means.alarms.create(() => this.#second());
    this.#hedge.set(this.#means.clock.now() + hedgeAfterMs);
  }

  /** The first content is late: somebody else is asked beside the one that runs, if a place is free and few do so. */
  #second(): void {
    const [first] = this.#runs;
    if (this.#ended || this.#committed || this.#runs.length !== 1) return;
    // Our own back-pressure is nobody's delay.
    if (this.#held.isHeld) return this.#planHedge();
    const { route, queue, hedges, tally, clock } = this.#means;
    const others = route.usable(this.#model).filter((index) => index !== first.upstream.index);
    const among = this.#attempts.untried(others);
    if (among.length === 0 || queue.ahead(this.#model)) return;
    if (!hedges.take(tally.running, clock.now())) return;
    const place = route.take(among, this.#model);
    if (!place) return hedges.undo(clock.now());
    tally.hedged();
    this.#begin(place, hedges);
  }

  /** A committed answer broke off for good: somebody else goes on with it, or it has failed. */
  #broken(run: RunningAttempt, error: MillraceError): void {
    const next = this.#request && this.#continuation?.next(this.#means, this.#request, run, error);
    if (!next) {
      const said = this.#continuation?.error ?? error;
      this.#encode(() => run.attempt.passFailure(said));
      return this.#end('failed', said);
    }
    this.#request = next.request;
    this.#means.tally.continued();
    this.#begin(next.place, next.budget);
  }

  /** This one answers; whoever ran beside it is closed. */
  #settle(run: RunningAttempt): void {
    if (run !== this.#runs[0]) this.#means.tally.hedgeWon();
    this.#run = run;
    for (const other of this.#runs) if (other !== run) this.#close(other);
  }

  #late(): void {
    if (this.#ended || this.#committed) return;
    const { deadlineMs } = this.#means.options.stream;
    this.#drop('failed', 'MILLRACE_DEADLINE');
    this.#fail(new MillraceError('MILLRACE_DEADLINE', { limitMs: deadlineMs }));
  }

  /** No attempt runs any more. */
  #drop(outcome: PlaceOutcome = 'neither', word: AttemptFact['outcome'] = 'cancelled'): void {
    for (const run of [...this.#runs]) this.#close(run, outcome, word);
  }

  #close(
    run: RunningAttempt,
    outcome: PlaceOutcome = 'neither',
    word: AttemptFact['outcome'] = 'cancelled',
  ): void {
    run.attempt.cancel();
    this.#leave(run, outcome, word);
  }

  #leave(run: RunningAttempt, outcome: PlaceOutcome, word: AttemptFact['outcome']): void {
    this.#runs = this.#runs.filter((other) => other !== run);
    const fact = run.leave(outcome, word, this.#startMs);
    if (fact && this.#tries.length < TRIES_MAX) this.#tries.push(fact);
  }

  #giveUp(): void {
    const none = new MillraceError('MILLRACE_UPSTREAM_NONE', { model: this.#model });
    this.#fail(this.#failure ?? none);
  }

  #fail(error: MillraceError): void {
    this.#means.tally.error(error.code);
    this.#encode(() => this.#encoder.fail(error));
    this.#end('failed', error);
  }

  /** An encoder that throws cannot be asked for a failure frame again: the message is settled without one. */
  #encode(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.#means.fault('encode', asMillraceError(thrown));
      this.#tap.settle();
    }
  }

  #end(outcome: Outcome, error: MillraceError | undefined, cause?: StreamEnded['cause']): void {
    this.#ended = true;
    this.#line.end();
    this.#request = undefined;
    for (const alarm of [this.#deadline, this.#wait, this.#hedge]) alarm?.free();
    this.#continuation?.close();
    const durationMs = this.#means.clock.now() - this.#startMs;
    this.#publishEnd(outcome, error, cause, durationMs);
    this.#means.tally.ended(outcome, durationMs);
    // The lane's next turn must not overtake frames that still wait.
    if (this.#tap.drained) this.#done();
    else this.#tap.onResumed(this.#done);
  }

  #publishEnd(
    outcome: Outcome,
    error: MillraceError | undefined,
    cause: StreamEnded['cause'],
    durationMs: number,
  ): void {
    const { worker, tally } = this.#means;
    const run = this.#run;
    const { inputTokens, outputTokens } = run?.attempt.usage ?? {};
    if (run && inputTokens !== undefined && outputTokens !== undefined)
      tally.tokens(run.provider, this.facts.turn.model, inputTokens, outputTokens);
    this.#means.publish(
      streamEnded({
        facts: this.facts,
        tap: this.#tap,
        worker,
        run,
        deltasBefore: this.#continuation?.deltasBefore ?? 0,
        attempts: this.#attempts.made,
        tries: this.#tries,
        outcome,
        error,
        cause,
        startedWallMs: this.#startWallMs,
        firstDeltaMs: this.#firstDeltaMs,
        pausedMs: this.#held.ms,
        durationMs,
        trace: this.#trace,
      }),
    );
  }
}
