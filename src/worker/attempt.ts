/**
 * One attempt at one upstream: an exchange, its decoder, and the clocks.
 *
 *   connect ─▶ headers ─▶ first ─▶ gap ─▶ grace ─▶ linger ─▶ over
 *      │          └─▶ refusal ─┐   │ ▲ (grace: the finish reason was seen, usage may come; linger: all was handed over, the
 *      └───────────────────────┤   ▼ │         body may still end, so that the socket can be used again)
 *                              │  cut ─▶ asking: an upstream that keeps its answers is asked for the rest, in another exchange
 *                              └───┴─────────┴─▶ over
 *
 * Upstream bytes are decoded only while the tap is clear; otherwise they wait here, undecoded, the socket is paused, and
 * the clocks stand still.
 */
import { asMillraceError, MillraceError } from '../errors.ts';
import { retryAfterMs } from '../policy/backoff.ts';
import { memoryFull } from '../policy/overload.ts';
import type { FinishReason, Usage } from '../protocol/events.ts';
import type { Decoder, HeaderReader, ProviderRequest } from '../protocol/provider.ts';
import type { Exchange, ExchangeHandler } from '../protocol/transport.ts';
import { AttemptClock } from './attempt-clock.ts';
import type { AttemptEvents, AttemptParts, Phase } from './attempt-parts.ts';
import { Backlog } from './backlog.ts';
import { Gate } from './gate.ts';
import { isPage } from './is-page.ts';
import { type LateCode, lateness } from './lateness.ts';
import type { Means } from './means.ts';
import { tellRead, tellStep } from './points.ts';
import { RateClock } from './rate-clock.ts';
import { Refusal } from './refusal.ts';
import { Resumes } from './resumes.ts';
import type { Upstream } from './route.ts';
import { Story } from './story.ts';
import type { Outlet } from './tap.ts';

export class Attempt implements ExchangeHandler {
  readonly upstream: Upstream;
  readonly story: Story;
  readonly #means: Means;
  readonly #parts: AttemptParts;
  readonly #tap: Outlet;
  readonly #events: AttemptEvents;
  readonly #gate: Gate;
  readonly #clock: AttemptClock;
  /** From the first content on. */
  #rate: RateClock | undefined;
  readonly #resumes: Resumes | undefined;
  readonly #backlog: Backlog;
  #exchange: Exchange;
  #phase: Phase = 'connect';
  #decoder: Decoder | undefined;
  #committed = false;
  #sent = false;
  /** What will be asked once the wait after a cut is over. */
  #rest: ProviderRequest | undefined;
  /** How the body ended while we held the attempt. */
  #ending: 'end' | MillraceError | undefined;
  #refusal: Refusal | undefined;
  #retryAfterMs: number | undefined;
  /** The upstream was told to forget, or knows nothing. */
  #gone = false;

  /** `request` is let go of once it is answered: prompts are long, and answers take their time. */
  constructor(means: Means, parts: AttemptParts, request: ProviderRequest) {
    const { upstream, resumption, encoder, tap } = parts;
    this.#parts = parts;
    this.#means = means;
    this.upstream = upstream;
    this.#tap = tap;
    this.#events = parts.events;
    const sink = means.coalesce(encoder, () => means.tally.merged());
    this.#gate = new Gate(sink, () => this.#name(), parts.transcript);
    this.#backlog = new Backlog(tap.ledger);
    const { stream } = means.options;
    if (resumption) this.#resumes = new Resumes(resumption, stream);
    const nowMs = means.clock.now();
    this.story = new Story(nowMs);
    const firstDueMs = nowMs + stream.firstDeltaTimeoutMs;
    this.#clock = new AttemptClock(means.clock, means.alarms, firstDueMs, () => this.#ring());
    this.#clock.enter(stream.connectTimeoutMs, true, nowMs);
    this.#name();
    tellStep('connect', tap.address, upstream, 0);
    this.#exchange = this.#open(request);
  }

  get usage(): Usage | undefined {
    return this.#gate.lastUsage;
  }

  get finishReason(): FinishReason | undefined {
    return this.#gate.reason;
  }

  /** And tool calls. */
  get deltas(): number {
    return this.#gate.pieces;
  }

  /** Closes the socket now, in whatever phase. No event comes any more. */
  cancel(): void {
    if (this.#phase === 'over') return;
    this.#over();
    this.#exchange.cancel();
    this.#forget(false);
  }

  /** Ends a committed answer with a failure; the encoder says how. */
  passFailure(error: MillraceError): void {
    this.#gate.passFailure(error);
  }

  sent(): void {
    if (this.#phase === 'asking')
      return this.#enter('asking', this.#means.options.stream.gapTimeoutMs);
    if (this.#phase !== 'connect') return;
    this.#sent = true;
    const nowMs = this.#means.clock.now();
    this.story.sentMs = nowMs;
    tellStep('sent', this.#tap.address, this.upstream, 0);
    this.#enter('headers', this.#means.options.stream.headersTimeoutMs, nowMs);
  }

  head(status: number, headers: HeaderReader): void {
    const isStream = status >= 200 && status < 300 && !isPage(headers('content-type'));
    if (this.#phase === 'asking') return this.#resumed(isStream);
    if (this.#phase === 'connect') this.sent();
    if (this.#phase !== 'headers') return;
    const { clock, options } = this.#means;
    this.story.headMs = clock.now();
    tellStep('head', this.#tap.address, this.upstream, status);
    if (isStream) {
      this.#parts.events.accepted(headers);
      const { eventBytesMax } = options.stream;
      const onFallback = () => this.#means.tally.fallback();
      this.#guarded(() => {
        const { name } = this.upstream.options;
        this.#decoder = this.#parts.provider.decoder(name, this.#gate, {
          eventBytesMax,
          onFallback,
        });
      });
      if (this.#gate.error) return this.#failed(this.#gate.error);
      this.#enter('first', options.stream.firstDeltaTimeoutMs);
      return;
    }
    this.#retryAfterMs = retryAfterMs(headers('retry-after'), clock.wall());
    this.#refusal = new Refusal(status, headers);
    this.#enter('refusal', options.stream.gapTimeoutMs);
  }

  data(bytes: Uint8Array): void {
    if (this.#isOver()) return;
    if (this.#refusal) {
      if (!this.#refusal.add(bytes)) this.#refuse();
    } else if (this.#backlog.isEmpty && this.#tap.clear()) this.#push(bytes);
    else this.#hold(bytes);
  }

  end(): void {
    this.fail('end');
  }

  /** Or ended as its framing said. */
  fail(how: MillraceError | 'end'): void {
    if (this.#phase === 'linger') return this.#over();
    if (this.#refusal) return this.#refuse();
    const waits = !this.#backlog.isEmpty || (this.#clock.isPaused && this.#resumes !== undefined);
    if (waits) this.#ending = how;
    else this.#close(how === 'end' ? undefined : how);
  }

  /** Hands bytes to the decoder and looks at what became of it. */
  #push(read: Uint8Array): void {
    tellRead(this.#tap.address, this.upstream, read.byteLength);
    const bytes = this.#resumes ? this.#resumes.take(read) : read;
    const before = this.#gate.pieces;
    this.#guarded(() => this.#decoder?.push(bytes));
    const pieces = this.#gate.pieces - before;
    if (pieces > 0) this.#means.tally.deltas(pieces);
    this.#look(pieces > 0);
  }

  /** The body is over. */
  #close(cause: MillraceError | undefined): void {
    if (this.#phase === 'over' || this.#mayResume(cause)) return;
    const resumes = this.#resumes;
    const before = this.#gate.pieces;
    const why = resumes?.cause ?? cause;
    if (this.#decoder) {
      this.#guarded(() => {
        if (resumes) this.#decoder?.push(resumes.resumption.rest());
        this.#decoder?.close(why);
      });
    } else this.#gate.fail(why ?? this.#lost('closed without an answer'));
    this.#look(this.#gate.pieces > before, true);
  }

  /** A committed answer broke off: is its upstream asked for the rest? */
  #mayResume(cause: MillraceError | undefined): boolean {
    if (!this.#committed || this.#decoder?.state !== 'open' || this.#gate.error) return false;
    const next = this.#resumes?.next(cause, this.#means.random.next());
    if (!next) return false;
    this.#exchange.cancel();
    this.#rest = next.request;
    if (next.waitMs > 0) this.#enter('cut', next.waitMs);
    else this.#ask();
    return true;
  }

  #ask(): void {
    if (!this.#rest) return;
    this.#means.tally.resumed(this.upstream.index);
    this.#enter('asking', this.#means.options.stream.connectTimeoutMs);
    this.#exchange = this.#open(this.#rest);
  }

  /** The head of what was asked for is there. Whoever does not know the answer any more will not know it later. */
  #resumed(isStream: boolean): void {
    if (isStream) return this.#enter('gap', this.#means.options.stream.gapTimeoutMs);
    this.#gone = true;
    this.#failed(this.#resumes?.cause ?? this.#lost('the rest of the answer is gone'));
  }

  #look(moved: boolean, ended = false): void {
    const { outputBytesMax, finishGraceMs, gapTimeoutMs } = this.#means.options.stream;
    const nowMs = this.#means.clock.now();
    if (moved) this.story.moved(nowMs);
    // An encoder that counts more than content may have ended the answer itself.
    const full = this.#gate.contentBytes > outputBytesMax || this.#tap.ended;
    if (full && !this.#gate.finished) {
      this.#gate.fail(new MillraceError('MILLRACE_OUTPUT_TOO_LARGE', { max: outputBytesMax }));
    }
    this.#noticeCommit();
    if (this.#gate.error) return this.#failed(this.#gate.error);
    if (this.#gate.finished) return this.#finished(ended);
    if (ended) return this.#failed(this.#lost('ended without a word'));
    if (this.#decoder?.state === 'finished') {
      if (this.#phase !== 'grace') this.#enter('grace', finishGraceMs, nowMs);
    } else if (moved) {
      this.#enter('gap', gapTimeoutMs, nowMs);
    }
    if (!this.#tap.clear()) this.#pause();
  }

  /** Said when it begins, and again with its first content: another attempt may have begun meanwhile. */
  #name(): void {
    const { upstream, number, continued } = this.#parts;
    this.#parts.encoder.from(upstream.options.name, number, continued);
  }

  #noticeCommit(): void {
    if (this.#committed || !this.#parts.encoder.committed) return;
    // What another upstream began is committed from the start.
    if (this.#gate.pieces === 0 && !this.#gate.finished) return;
    this.#committed = true;
    const { tally, clock } = this.#means;
    const count = () => this.#gate.pieces;
    this.#rate = RateClock.of(this.#means, count, () => this.#slow());
    tally.firstDelta(this.upstream.index, clock.now() - this.story.startMs);
    this.#events.committed();
  }

  #finished(ended: boolean): void {
    this.#forget(true);
    this.#rate?.free();
    if (ended) this.#over();
    else {
      this.#means.lingering.add(this);
      this.#enter('linger', this.#means.options.stream.finishGraceMs);
    }
    this.#events.finished();
  }

  #failed(error: MillraceError): void {
    const sent = this.#sent;
    this.cancel();
    this.#events.failed({ error, sent, retryAfterMs: this.#retryAfterMs });
  }

  /** Decoders and encoders are pure: what they throw ends this stream, not the thread. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      const error = asMillraceError(thrown);
      if (error.code === 'MILLRACE_INTERNAL') this.#means.fault('stream', error);
      this.#gate.fail(error);
    }
  }

  #refuse(): void {
    const refusal = this.#refusal;
    if (!refusal || this.#phase === 'over') return;
    this.#guarded(() => {
      const { provider, apiKey } = this.#parts;
      const { name } = this.upstream.options;
      this.#gate.fail(refusal.error(provider, name, apiKey));
    });
    this.#failed(this.#gate.error ?? this.#lost(`status ${refusal.status}`));
  }

  #hold(bytes: Uint8Array): void {
    if (this.#backlog.hold(bytes)) return this.#pause();
    this.#failed(memoryFull());
  }

  #pause(): void {
    if (this.#clock.isPaused || this.#isOver()) return;
    this.#means.tally.backpressure();
    this.#clock.pause();
    this.#rate?.pause();
    this.#events.paused();
    this.#exchange.pause();
  }

  /** The tap took everything: decode what waited, then read on. */
  goOn(): void {
    if (this.#phase === 'over' || !this.#clock.isPaused) return;
    this.#unpause();
    while (!this.#backlog.isEmpty && this.#tap.clear()) {
      const bytes = this.#backlog.next();
      if (bytes) this.#push(bytes);
      if (this.#isOver()) return;
    }
    if (!this.#backlog.isEmpty) return this.#pause();
    const ending = this.#ending;
    this.#ending = undefined;
    if (ending !== undefined) return this.#close(ending === 'end' ? undefined : ending);
    // The last push may have used the credit up again.
    if (!this.#clock.isPaused) this.#exchange.resume();
  }

  #isOver(): boolean {
    return this.#phase === 'over' || this.#phase === 'linger';
  }

  #unpause(): void {
    this.story.stood(this.#clock.go());
    this.#rate?.go();
    this.#events.resumed();
  }

  #open(request: ProviderRequest): Exchange {
    const path = this.upstream.basePath + request.path;
    return this.#means.transport.open(this.upstream.address, { ...request, path }, this);
  }

  #enter(phase: Phase, limitMs: number, nowMs = this.#means.clock.now()): void {
    this.#phase = phase;
    const early = phase === 'connect' || phase === 'headers' || phase === 'first';
    this.#clock.enter(limitMs, early, nowMs);
  }

  #ring(): void {
    const phase = this.#phase;
    if (phase === 'refusal') return this.#refuse();
    if (phase === 'cut') return this.#ask();
    const late = lateness(phase, this.#clock.isFirstLate, this.#means.options.stream);
    if (late) return this.#late(late.code, late.limitMs);
    // The finish reason was seen: the answer is complete without the marker.
    if (phase !== 'grace') return this.cancel();
    this.#close(undefined);
    this.#exchange.cancel();
  }

  #slow(): void {
    if (this.#phase === 'grace') return;
    const { minTokensPerSecond, rateWindowMs } = this.#means.options.stream;
    const upstream = this.upstream.options.name;
    const details = { upstream, minPerSecond: minTokensPerSecond, windowMs: rateWindowMs };
    this.#failed(new MillraceError('MILLRACE_UPSTREAM_SLOW', details));
  }

  #late(code: LateCode, limitMs: number): void {
    const error = new MillraceError(code, { upstream: this.upstream.options.name, limitMs });
    if (!this.#mayResume(error)) this.#failed(this.#resumes?.cause ?? error);
  }

  #lost(reason: string): MillraceError {
    const upstream = this.upstream.options.name;
    return new MillraceError('MILLRACE_UPSTREAM_RESET', { upstream, reason });
  }

  /** An upstream that kept the answer need not any more. Said once. */
  #forget(whole: boolean): void {
    const resumption = this.#resumes?.resumption;
    if (!resumption || !this.#sent || this.#refusal || this.#gone) return;
    this.#gone = true;
    const requests = resumption.forget(whole);
    this.#means.errands.send(this.upstream, requests);
  }

  #over(): void {
    this.#phase = 'over';
    if (this.#clock.isPaused) this.#unpause();
    this.#clock.free();
    this.#rate?.free();
    this.#means.lingering.delete(this);
    this.#backlog.clear();
  }
}
