/**
 * Stage ④: one running turn, from its openers to its one end. Attempts follow each other until content is committed, the
 * rules of policy/retry are used up, or the client goes.
 *
 *   start ─▶ choose ─▶ attempt ─┬─ committed ─▶ finished | failed            one terminal frame either way
 *              ▲                └─ failed before: another upstream at once, the same one after a wait
 *              └──────────────────────┘
 */
import { asMillraceError, MillraceError, type Retry } from '../errors.ts';
import type { outcomes } from '../observe/metrics.ts';
import { Attempts } from '../policy/retry.ts';
import type { Encoder, Turn } from '../protocol/dialect.ts';
import type { ModelRequest } from '../protocol/request.ts';
import type { TraceContext } from '../protocol/trace-context.ts';
import type { AttemptFact, StreamEnded } from '../threads/facts.ts';
import type { Alarm } from './alarms.ts';
import { Attempt } from './attempt.ts';
import type { AttemptEvents, AttemptFailure } from './attempt-parts.ts';
import type { Means } from './means.ts';
import { blame, type Place, type PlaceOutcome } from './place.ts';
import { PlaceWait } from './place-wait.ts';
import { tellFailed, tellPicked } from './points.ts';
import { resumptionOf } from './resumes.ts';
import { StreamTrace } from './stream-trace.ts';
import type { Outlet } from './tap.ts';

/** What is said about a stream when it ends. */
export interface StreamFacts {
  readonly turn: Turn;
  readonly dialect: string;
  readonly principal: string;
  /** What the operator calls the session's key. */
  readonly keyName: string | undefined;
  /** The trace it belongs to, as its message or its session said. */
  readonly trace?: TraceContext | undefined;
}

/** Attempts told one by one; all are counted. */
const TRIES_MAX = 16;

type Outcome = (typeof outcomes)[number];

export class Stream implements AttemptEvents {
  readonly facts: StreamFacts;
  readonly #means: Means;
  readonly #request: ModelRequest;
  readonly #encoder: Encoder;
  readonly #tap: Outlet;
  readonly #done: () => void;
  readonly #attempts: Attempts;
  readonly #startMs: number;
  /** When the running attempt began. */
  #attemptMs = 0;
  #deadlineMs: number;
  /** The deadline; the wait before the next round comes out of `#wait`. */
  readonly #deadline: Alarm;
  readonly #wait: Alarm;
  #attempt: Attempt | undefined;
  /** The running attempt's, until it is left. */
  #place: Place | undefined;
  /** The one asked last. */
  #upstream = '';
  #provider = '';
  #retrying = false;
  readonly #line: PlaceWait;
  /** The last attempt never left the process: its successor costs no budget. */
  #freeRetry = false;
  #failure: MillraceError | undefined;
  #committed = false;
  #firstDeltaMs = -1;
  #ended = false;
  readonly #trace: StreamTrace | undefined;
  readonly #startWallMs: number;
  readonly #tries: AttemptFact[] = [];
  /** The running attempt's. */
  #spanId: string | undefined;
  #pausedMs = 0;

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
    this.#wait = means.alarms.create(() => this.#choose());
    this.#line = new PlaceWait(means);
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

  committed(): void {
    this.#committed = true;
    const nowMs = this.#means.clock.now();
    const afterMs = nowMs - this.#attemptMs;
    this.#firstDeltaMs = nowMs - this.#startMs;
    this.#place?.firstToken(afterMs);
    this.#means.tally.firstChunk(this.#provider, this.#request.model, afterMs);
    this.#deadline.off();
    this.#wait.off();
    this.#endRetry();
  }

  finished(): void {
    this.#leave('succeeded', 'finished');
    this.#end('finished', undefined);
  }

  failed(failure: AttemptFailure): void {
    const attempt = this.#attempt;
    if (!attempt || this.#ended) return;
    const { error } = failure;
    this.#leave(blame(error), error.code);
    tellFailed(this.#tap.address, this.#upstream, error.code);
    this.#endRetry();
    const { index, options } = attempt.upstream;
    const { tally, route } = this.#means;
    tally.attemptFailed(index);
    tally.error(error.code);
    this.#publishFailure(options.name, error);
    if (this.#committed) {
      this.#encode(() => attempt.passFailure(error));
      return this.#end('failed', error);
    }
    const advice: Retry = error.failure.retry;
    let floorMs = 0;
    if (error.code === 'MILLRACE_UPSTREAM_LIMITED' || failure.retryAfterMs !== undefined) {
      const said = Number(error.details['waitMs'] ?? failure.retryAfterMs ?? Number.NaN);
      floorMs =
        this.#means.clock.now() + route.rest(index, Number.isFinite(said) ? said : undefined);
    }
    this.#failure = error;
    if (advice === 'never') return this.#fail(error);
    this.#attempts.failed(index, floorMs);
    this.#freeRetry = !failure.sent;
    this.#attempt = undefined;
    this.#choose();
  }

  paused(): void {
    this.#deadline.off();
  }

  resumed(ms: number): void {
    this.#pausedMs += ms;
    if (this.#committed) return;
    this.#deadlineMs += ms;
    this.#deadline.set(this.#deadlineMs);
  }

  #choose(): void {
    if (this.#ended) return;
    const { route, clock, random } = this.#means;
    const { model } = this.#request;
    const usable = route.usable(model);
    const next = this.#attempts.next(usable, clock.now(), this.#deadlineMs, random.next());
    if (next.kind === 'wait') return this.#wait.set(next.untilMs);
    // Whoever came before and waits for the same goes first.
    if (next.kind === 'go' && !this.#means.queue.ahead(model)) return this.#go(next.among);
    const busy = next.kind === 'go' || (next.why === 'none' && route.couldWait);
    if (busy && !this.#failure) return this.#queue();
    this.#giveUp();
  }

  /** No upstream has room: in line with the others, for a while. */
  #queue(): void {
    this.#line.begin(
      this.#request.model,
      () => this.#try(),
      (error) => this.#fail(error),
    );
  }

  /** Its turn: is there room now? */
  #try(): boolean {
    const { route, clock, random } = this.#means;
    const usable = route.usable(this.#request.model);
    const next = this.#attempts.next(usable, clock.now(), this.#deadlineMs, random.next());
    if (next.kind !== 'go') return false;
    // Out of the line first: it may have to join it again.
    this.#line.end();
    this.#go(next.among);
    return true;
  }

  #go(among: readonly number[]): void {
    const means = this.#means;
    if (this.#attempts.made > 0) {
      if (!this.#mayRetry()) return this.#giveUp();
      means.tally.failover();
    }
    const { model } = this.#request;
    const place = means.route.take(among, model);
    if (!place) {
      this.#endRetry();
      return this.#failure ? this.#fail(this.#failure) : this.#queue();
    }
    this.#place = place;
    this.#attempts.begin();
    this.#attemptMs = means.clock.now();
    const upstream = means.route.upstream(place.upstream);
    const { name, apiKey, provider: providerName } = upstream.options;
    this.#upstream = name;
    this.#provider = providerName;
    tellPicked(this.#tap.address, name, this.#attempts.made);
    const provider = means.providers[providerName];
    try {
      const facts = apiKey === undefined ? { name, model } : { name, model, apiKey };
      const plain = provider.encode(this.#request, facts);
      const resumption = resumptionOf(upstream, provider, plain, means.random);
      const { request: first } = resumption ?? { request: plain };
      const span = this.#trace?.attempt();
      this.#spanId = span?.spanId;
      const request = span ? { ...first, headers: { ...first.headers, ...span.headers } } : first;
      means.tally.attempt(place.upstream);
      const encoder = this.#encoder;
      const parts = { upstream, provider, request, resumption, encoder };
      this.#attempt = new Attempt(means, { ...parts, tap: this.#tap, events: this });
    } catch (thrown) {
      const error = asMillraceError(thrown);
      if (error.code === 'MILLRACE_INTERNAL') means.fault('route', error);
      this.#drop();
      this.#fail(error);
    }
  }

  #mayRetry(): boolean {
    if (this.#freeRetry) return true;
    const { budget, tally } = this.#means;
    this.#retrying = budget.take(tally.running);
    if (!this.#retrying) tally.budgetExhausted();
    return this.#retrying;
  }

  #endRetry(): void {
    if (!this.#retrying) return;
    this.#retrying = false;
    this.#means.budget.give();
  }

  #late(): void {
    if (this.#ended || this.#committed) return;
    const { deadlineMs } = this.#means.options.stream;
    this.#drop('failed', 'MILLRACE_DEADLINE');
    this.#fail(new MillraceError('MILLRACE_DEADLINE', { limitMs: deadlineMs }));
  }

  /** No attempt runs any more. */
  #drop(outcome: PlaceOutcome = 'neither', word: AttemptFact['outcome'] = 'cancelled'): void {
    this.#attempt?.cancel();
    this.#leave(outcome, word);
    this.#endRetry();
  }

  /** The running attempt is over, said once for each: to the table, and to the stream's line. */
  #leave(outcome: PlaceOutcome, word: AttemptFact['outcome']): void {
    if (!this.#place) return;
    this.#place.leave(outcome);
    this.#place = undefined;
    this.#means.queue.roomCame();
    const nowMs = this.#means.clock.now();
    const { model } = this.#request;
    this.#means.tally.operation(this.#provider, model, nowMs - this.#attemptMs);
    if (!this.#attempt || this.#tries.length === TRIES_MAX) return;
    const { story, upstream } = this.#attempt;
    this.#tries.push(story.fact(upstream, word, this.#startMs, nowMs, this.#spanId));
  }

  #giveUp(): void {
    const { model } = this.#request;
    this.#fail(this.#failure ?? new MillraceError('MILLRACE_UPSTREAM_NONE', { model }));
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
    this.#deadline.free();
    this.#wait.free();
    const durationMs = this.#means.clock.now() - this.#startMs;
    this.#publishEnd(outcome, error, cause, durationMs);
    this.#means.tally.ended(outcome, durationMs);
    // The lane's next turn must not overtake frames that still wait.
    if (this.#tap.drained) this.#done();
    else this.#tap.onResumed(this.#done);
  }

  #publishFailure(upstream: string, error: MillraceError): void {
    const said = { stream: this.#tap.address.stream, responseId: this.facts.turn.responseId };
    this.#means.publish({ fact: 'attempt-failed', ...said, upstream, error: error.toWire() });
  }

  #publishEnd(
    outcome: Outcome,
    error: MillraceError | undefined,
    cause: StreamEnded['cause'],
    durationMs: number,
  ): void {
    const { turn, dialect, principal, keyName } = this.facts;
    const { address, frames, bytes } = this.#tap;
    const attempt = this.#attempt;
    const usage = attempt?.usage ?? noUsage;
    const deltas = attempt?.deltas ?? 0;
    if (attempt?.usage) {
      const { inputTokens, outputTokens } = usage;
      this.#means.tally.tokens(this.#provider, turn.model, inputTokens, outputTokens);
    }
    this.#means.publish({
      fact: 'stream-ended',
      session: address.slot,
      generation: address.generation,
      stream: address.stream,
      responseId: turn.responseId,
      lane: turn.lane,
      principal,
      ...(keyName !== undefined && { keyName }),
      dialect,
      model: clipped(turn.model),
      upstream: this.#upstream,
      provider: this.#provider,
      worker: this.#means.worker,
      attempts: this.#attempts.made,
      tries: this.#tries,
      outcome,
      ...(cause && { cause }),
      ...(attempt?.finishReason && { finishReason: attempt.finishReason }),
      ...(error && { error: error.toWire() }),
      ...usage,
      frames,
      bytes,
      deltas,
      startedWallMs: this.#startWallMs,
      firstDeltaMs: this.#firstDeltaMs,
      meanGapMs: attempt?.story.meanGapMs(deltas) ?? -1,
      maxGapMs: deltas > 1 ? (attempt?.story.maxGapMs ?? -1) : -1,
      pausedMs: this.#pausedMs,
      durationMs,
      ...(this.#trace && { trace: this.#trace.fact }),
    });
  }
}

const noUsage = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 };

/** Names no longer than this: an upstream that names no models takes any that a client writes. */
const MODEL_CHARS_MAX = 128;

const clipped = (model: string) =>
  model.length <= MODEL_CHARS_MAX ? model : `${model.slice(0, MODEL_CHARS_MAX)}…`;
