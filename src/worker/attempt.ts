/**
 * One attempt at one upstream: an exchange, its decoder, and the clocks.
 *
 *   connect ─▶ headers ─▶ first ─▶ gap ─▶ grace ─▶ linger ─▶ over
 *      │          └─▶ refusal ─┐     (grace: the finish reason was seen, usage may come; linger: all was handed over, the
 *      └───────────────────────┴─▶ over          body may still end, so that the socket can be used again)
 *
 * Upstream bytes are decoded only while the tap is clear; otherwise they wait here, undecoded, the socket is paused, and
 * the clocks stand still.
 */
import { asMillraceError, type Code, MillraceError } from '../errors.ts';
import { retryAfterMs } from '../policy/backoff.ts';
import { memoryFull } from '../policy/overload.ts';
import type { Encoder } from '../protocol/dialect.ts';
import type { FinishReason, Usage } from '../protocol/events.ts';
import type { Decoder, HeaderReader, Provider, ProviderRequest } from '../protocol/provider.ts';
import type { Exchange, ExchangeHandler } from '../protocol/transport.ts';
import type { Alarm } from './alarms.ts';
import { Gate } from './gate.ts';
import { isPage } from './is-page.ts';
import type { Means } from './means.ts';
import { tellRead, tellStep } from './points.ts';
import type { Upstream } from './route.ts';
import { Story } from './story.ts';
import type { Outlet } from './tap.ts';

/** How much of an error response is read. */
const REFUSAL_BYTES_MAX = 64 * 1024;

type Phase = 'connect' | 'headers' | 'refusal' | 'first' | 'gap' | 'grace' | 'linger' | 'over';

export interface AttemptFailure {
  readonly error: MillraceError;
  /** The request left the process. */
  readonly sent: boolean;
  /** What the upstream said about when to come back. */
  readonly retryAfterMs: number | undefined;
}

export interface AttemptEvents {
  /** The first content is in a frame: from here on no failover. */
  committed(): void;
  /** All was handed over. The exchange may still be ending. */
  finished(): void;
  failed(failure: AttemptFailure): void;
  /** Our own back-pressure holds it; no clock counts until `resumed` says for how long. */
  paused(): void;
  resumed(ms: number): void;
}

export class Attempt implements ExchangeHandler {
  readonly upstream: Upstream;
  readonly story: Story;
  readonly #means: Means;
  readonly #provider: Provider;
  readonly #encoder: Encoder;
  readonly #tap: Outlet;
  readonly #events: AttemptEvents;
  readonly #gate: Gate;
  readonly #alarm: Alarm;
  readonly #exchange: Exchange;
  #phase: Phase = 'connect';
  #decoder: Decoder | undefined;
  #committed = false;
  #sent = false;
  /** When the phase's clock runs out, and when the first delta must be there. */
  #dueMs: number;
  #firstDueMs: number;
  #pausedMs = -1;
  #held: Uint8Array[] = [];
  #booked = 0;
  /** How the body ended while bytes were still held. */
  #ending: 'end' | MillraceError | undefined;
  #refusal: { status: number; headers: HeaderReader; body: Buffer[]; bytes: number } | undefined;
  #retryAfterMs: number | undefined;

  constructor(
    means: Means,
    upstream: Upstream,
    provider: Provider,
    request: ProviderRequest,
    encoder: Encoder,
    tap: Outlet,
    events: AttemptEvents,
  ) {
    this.#means = means;
    this.upstream = upstream;
    this.#provider = provider;
    this.#encoder = encoder;
    this.#tap = tap;
    this.#events = events;
    this.#gate = new Gate(means.coalesce(encoder, () => means.tally.merged()));
    this.#alarm = means.alarms.create(() => this.#ring());
    const { connectTimeoutMs, firstDeltaTimeoutMs } = means.options.stream;
    const nowMs = means.clock.now();
    this.story = new Story(nowMs);
    this.#firstDueMs = nowMs + firstDeltaTimeoutMs;
    this.#dueMs = nowMs + connectTimeoutMs;
    this.#arm();
    tap.onResumed(() => this.#resume());
    encoder.from(upstream.options.name);
    const path = upstream.basePath + request.path;
    tellStep('connect', tap.address, upstream, 0);
    this.#exchange = means.transport.open(upstream.address, { ...request, path }, this);
  }

  get usage(): Usage | undefined {
    return this.#gate.lastUsage;
  }

  get finishReason(): FinishReason | undefined {
    return this.#gate.reason;
  }

  /** Deltas and tool calls so far. */
  get deltas(): number {
    return this.#gate.pieces;
  }

  /** Closes the socket now, in whatever phase. No event comes any more. */
  cancel(): void {
    if (this.#phase === 'over') return;
    this.#over();
    this.#exchange.cancel();
  }

  /** Ends a committed answer with a failure; the encoder says how. */
  passFailure(error: MillraceError): void {
    this.#gate.passFailure(error);
  }

  sent(): void {
    if (this.#phase !== 'connect') return;
    this.#sent = true;
    const nowMs = this.#means.clock.now();
    this.story.sentMs = nowMs;
    tellStep('sent', this.#tap.address, this.upstream, 0);
    this.#enter('headers', this.#means.options.stream.headersTimeoutMs, nowMs);
  }

  head(status: number, headers: HeaderReader): void {
    if (this.#phase === 'connect') this.sent();
    if (this.#phase !== 'headers') return;
    const { clock, options } = this.#means;
    this.story.headMs = clock.now();
    tellStep('head', this.#tap.address, this.upstream, status);
    if (status >= 200 && status < 300 && !isPage(headers('content-type'))) {
      const { eventBytesMax } = options.stream;
      const onFallback = () => this.#means.tally.fallback();
      this.#guarded(() => {
        const { name } = this.upstream.options;
        this.#decoder = this.#provider.decoder(name, this.#gate, { eventBytesMax, onFallback });
      });
      if (this.#gate.error) return this.#failed(this.#gate.error);
      this.#enter('first', options.stream.firstDeltaTimeoutMs);
      return;
    }
    this.#retryAfterMs = retryAfterMs(headers('retry-after'), clock.wall());
    this.#refusal = { status, headers, body: [], bytes: 0 };
    this.#enter('refusal', options.stream.gapTimeoutMs);
  }

  data(bytes: Uint8Array): void {
    if (this.#phase === 'linger' || this.#phase === 'over') return;
    if (this.#refusal) return this.#collect(bytes);
    if (this.#held.length > 0 || !this.#tap.clear()) this.#hold(bytes);
    else this.#push(bytes);
  }

  end(): void {
    if (this.#phase === 'linger') return this.#over();
    if (this.#refusal) return this.#refuse();
    if (this.#held.length > 0) this.#ending = 'end';
    else this.#close(undefined);
  }

  fail(error: MillraceError): void {
    if (this.#phase === 'linger') return this.#over();
    if (this.#refusal) return this.#refuse();
    if (this.#held.length > 0) this.#ending = error;
    else this.#close(error);
  }

  /** Hands bytes to the decoder and looks at what became of it. */
  #push(bytes: Uint8Array): void {
    tellRead(this.#tap.address, this.upstream, bytes.byteLength);
    const before = this.#gate.pieces;
    this.#guarded(() => this.#decoder?.push(bytes));
    const pieces = this.#gate.pieces - before;
    if (pieces > 0) this.#means.tally.deltas(pieces);
    this.#look(pieces > 0);
  }

  /** The body is over. */
  #close(cause: MillraceError | undefined): void {
    if (this.#phase === 'over') return;
    const before = this.#gate.pieces;
    if (this.#decoder) this.#guarded(() => this.#decoder?.close(cause));
    else this.#gate.fail(cause ?? this.#lost('closed without an answer'));
    this.#look(this.#gate.pieces > before, true);
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

  #noticeCommit(): void {
    if (this.#committed || !this.#encoder.committed) return;
    this.#committed = true;
    const { tally, clock } = this.#means;
    tally.firstDelta(this.upstream.index, clock.now() - this.story.startMs);
    this.#events.committed();
  }

  #finished(ended: boolean): void {
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

  #collect(bytes: Uint8Array): void {
    const refusal = this.#refusal;
    if (!refusal) return;
    const room = REFUSAL_BYTES_MAX - refusal.bytes;
    refusal.body.push(Buffer.from(bytes.subarray(0, room)));
    refusal.bytes += Math.min(room, bytes.byteLength);
    if (bytes.byteLength >= room) this.#refuse();
  }

  #refuse(): void {
    const refusal = this.#refusal;
    if (!refusal || this.#phase === 'over') return;
    const { status, headers, body } = refusal;
    const { name, apiKey } = this.upstream.options;
    this.#guarded(() => {
      this.#gate.fail(this.#provider.refusal(name, status, headers, Buffer.concat(body), apiKey));
    });
    this.#failed(this.#gate.error ?? this.#lost(`status ${status}`));
  }

  #hold(bytes: Uint8Array): void {
    const { ledger } = this.#tap;
    if (!ledger.take('outbox', bytes.byteLength)) return this.#failed(memoryFull());
    this.#booked += bytes.byteLength;
    // Not `slice()`: of a Buffer that is a view.
    this.#held.push(new Uint8Array(bytes));
    this.#pause();
  }

  #pause(): void {
    if (this.#pausedMs >= 0 || this.#phase === 'over' || this.#phase === 'linger') return;
    this.#pausedMs = this.#means.clock.now();
    this.#means.tally.backpressure();
    this.#alarm.off();
    this.#events.paused();
    this.#exchange.pause();
  }

  /** The tap took everything: decode what waited, then read on. */
  #resume(): void {
    if (this.#phase === 'over') return;
    if (this.#pausedMs < 0) return;
    this.#unpause();
    this.#arm();
    while (this.#held.length > 0 && this.#tap.clear()) {
      const bytes = this.#held.shift();
      if (bytes) {
        this.#unbook(bytes.byteLength);
        this.#push(bytes);
      }
      if (this.#isOver()) return;
    }
    if (this.#held.length > 0) return this.#pause();
    const ending = this.#ending;
    if (ending !== undefined) return this.#close(ending === 'end' ? undefined : ending);
    // The last push may have used the credit up again.
    if (this.#pausedMs < 0) this.#exchange.resume();
  }

  #unpause(): void {
    const stoodMs = this.#means.clock.now() - this.#pausedMs;
    this.#pausedMs = -1;
    this.#dueMs += stoodMs;
    this.#firstDueMs += stoodMs;
    this.story.stood(stoodMs);
    this.#events.resumed(stoodMs);
  }

  #isOver(): boolean {
    return this.#phase === 'over' || this.#phase === 'linger';
  }

  #unbook(bytes: number): void {
    this.#booked -= bytes;
    this.#tap.ledger.give('outbox', bytes);
  }

  #enter(phase: Phase, limitMs: number, nowMs = this.#means.clock.now()): void {
    this.#phase = phase;
    this.#dueMs = nowMs + limitMs;
    this.#arm();
  }

  #arm(): void {
    if (this.#pausedMs >= 0) return;
    const early = this.#phase === 'connect' || this.#phase === 'headers' || this.#phase === 'first';
    this.#alarm.set(early ? Math.min(this.#dueMs, this.#firstDueMs) : this.#dueMs);
  }

  #ring(): void {
    const { connectTimeoutMs, headersTimeoutMs, firstDeltaTimeoutMs, gapTimeoutMs } =
      this.#means.options.stream;
    const first = this.#means.clock.now() >= this.#firstDueMs;
    switch (this.#phase) {
      case 'connect':
      case 'headers': {
        if (first) return this.#late('MILLRACE_UPSTREAM_FIRST_TIMEOUT', firstDeltaTimeoutMs);
        const limitMs = this.#phase === 'connect' ? connectTimeoutMs : headersTimeoutMs;
        return this.#late('MILLRACE_UPSTREAM_CONNECT_TIMEOUT', limitMs);
      }
      case 'first':
        return this.#late('MILLRACE_UPSTREAM_FIRST_TIMEOUT', firstDeltaTimeoutMs);
      case 'gap':
        return this.#late('MILLRACE_UPSTREAM_GAP_TIMEOUT', gapTimeoutMs);
      case 'refusal':
        return this.#refuse();
      case 'grace':
        // The finish reason was seen: the answer is complete without the marker.
        this.#close(undefined);
        return this.#exchange.cancel();
      case 'linger':
      case 'over':
        return this.cancel();
    }
  }

  #late(code: LateCode, limitMs: number): void {
    const details = { upstream: this.upstream.options.name, limitMs };
    this.#failed(new MillraceError(code, details));
  }

  #lost(reason: string): MillraceError {
    const upstream = this.upstream.options.name;
    return new MillraceError('MILLRACE_UPSTREAM_RESET', { upstream, reason });
  }

  #over(): void {
    this.#phase = 'over';
    if (this.#pausedMs >= 0) this.#unpause();
    this.#alarm.free();
    this.#means.lingering.delete(this);
    this.#held = [];
    this.#unbook(this.#booked);
  }
}

type LateCode = Extract<
  Code,
  | 'MILLRACE_UPSTREAM_CONNECT_TIMEOUT'
  | 'MILLRACE_UPSTREAM_FIRST_TIMEOUT'
  | 'MILLRACE_UPSTREAM_GAP_TIMEOUT'
>;
