/**
 * A session of the dialect `proxy`: one client bound to one back end, messages in order both ways. A back end that is lost before it has
 * said anything is replaced by another one, which gets what the client has said so far; afterwards the session ends with it.
 *
 *   client ─▶ main ─▶ ForwardQueue ─▶ BackEnd ─▶ tap ─▶ main ─▶ client
 *               ▲          │ not taken: main stops reading      │ no credit: the back end is not read
 */
import { asMillraceError, MillraceError } from '../../errors.ts';
import { Flag } from '../../memory/layout.ts';
import { Attempts } from '../../policy/retry.ts';
import { close as closeCode, codeForBackEnd, codeForClient } from '../../protocol/close.ts';
import type { ClientMessage } from '../../protocol/dialect.ts';
import type { SessionFacts } from '../../threads/messages.ts';
import type { Alarm } from '../alarms.ts';
import type { Means } from '../means.ts';
import type { Outbox } from '../outbox.ts';
import type { Place } from '../place.ts';
import { PlaceWait } from '../place-wait.ts';
import { Tap } from '../tap.ts';
import { BackEnd, type BackEndEvents } from './back-end.ts';
import { ForwardQueue } from './forward-queue.ts';

/** What the pool of back ends is called where others have a model. */
const POOL = 'websocket';
/** What it is called in the line for places: no model has this name. */
const LINE = ' websocket';

type Late = 'MILLRACE_PROXY_IDLE' | 'MILLRACE_PROXY_STALLED' | 'MILLRACE_PROXY_AGED';

export interface ProxiedParts {
  readonly means: Means;
  readonly outbox: Outbox;
  readonly facts: SessionFacts;
  readonly slot: number;
  readonly generation: number;
}

export class Proxied implements BackEndEvents {
  readonly generation: number;
  readonly #parts: ProxiedParts;
  readonly #tap: Tap;
  readonly #queue: ForwardQueue;
  readonly #attempts: Attempts;
  readonly #startMs: number;
  /** All attempts until a connection is there must fit before it. */
  #deadlineMs: number;
  readonly #line: PlaceWait;
  readonly #wait: Alarm;
  readonly #idle: Alarm;
  readonly #stall: Alarm;
  readonly #life: Alarm;
  #back: BackEnd | undefined;
  /** The one asked last; '' when none was. */
  #upstream = '';
  #failure: MillraceError | undefined;
  /** Messages and bytes of the client, and of the back end. */
  #asked = 0;
  #askedBytes = 0;
  #answers = 0;
  #answerBytes = 0;
  /** Messages wait because the back end does not read. */
  #stalling = false;
  /** The back end has spoken since the client did last. */
  #answered = true;
  #over = false;

  constructor(parts: ProxiedParts) {
    const { means, outbox, slot, generation } = parts;
    const { stream, proxy } = means.options;
    this.#parts = parts;
    this.generation = generation;
    this.#tap = new Tap(outbox, { slot, generation, stream: 0 }, 0);
    this.#tap.onResumed(() => this.#roomy());
    const settle = (number: number) => this.#settle(number);
    this.#queue = new ForwardQueue(proxy, outbox.ledger, settle);
    this.#attempts = new Attempts(stream);
    this.#startMs = means.clock.now();
    this.#deadlineMs = this.#startMs + stream.deadlineMs;
    const late = (code: Late, limitMs: number) =>
      means.alarms.create(() => this.#fail(new MillraceError(code, { limitMs })));
    this.#line = new PlaceWait(means);
    this.#wait = means.alarms.create(() => this.#choose());
    this.#idle = late('MILLRACE_PROXY_IDLE', proxy.idleTimeoutMs);
    this.#stall = late('MILLRACE_PROXY_STALLED', proxy.stallTimeoutMs);
    this.#life = late('MILLRACE_PROXY_AGED', proxy.sessionMsMax);
    if (proxy.sessionMsMax > 0) this.#life.set(this.#startMs + proxy.sessionMsMax);
    this.#moved();
  }

  /** A back end may speak first: it is asked at once. */
  start(): void {
    this.#choose();
  }

  message({ bytes, binary }: ClientMessage, stream: number): void {
    if (this.#over) return this.#settle(stream);
    this.#moved();
    this.#asked += 1;
    this.#askedBytes += bytes.byteLength;
    this.#answered = false;
    this.#queue.push(bytes, binary, stream);
    this.#forward();
  }

  /** The client left, or main has ended the session, with this code. */
  close(code: number, reason: string): void {
    if (!this.#over) {
      const isDone = this.#answered && this.#queue.waiting === 0 && this.#tap.drained;
      const isOrderly = code === closeCode.normal || code === 1005;
      this.#back?.finish(codeForBackEnd(code), reason, isDone && isOrderly);
      this.#ended(code);
    }
    this.#tap.discard();
  }

  /** We stop; main tells the client. */
  abort(error: MillraceError): void {
    if (this.#over) return;
    this.#back?.end(closeCode.away, error.message);
    this.#ended(closeCode.restart, error);
  }

  // What the back end says.

  opened(): void {
    if (!this.#tap.clear()) this.#back?.pause();
    this.#forward();
  }

  received(bytes: Uint8Array, binary: boolean, isFirst: boolean): void {
    if (isFirst) this.#queue.forget();
    this.#moved();
    this.#answered = true;
    this.#answers += 1;
    this.#answerBytes += bytes.byteLength;
    const flags = binary ? Flag.binary : 0;
    this.#tap.frame(bytes, bytes.byteLength, flags, this.#tap.nextSequence);
    if (!this.#tap.clear()) this.#back?.pause();
  }

  drained(): void {
    this.#stalling = false;
    this.#forward();
  }

  unspoken(error: MillraceError): void {
    const { means } = this.#parts;
    const { tally, clock, options } = means;
    const back = this.#back;
    if (this.#over || !back) return;
    const { index, options: upstream } = back.upstream;
    tally.attemptFailed(index);
    tally.error(error.code);
    means.publish({
      fact: 'attempt-failed',
      stream: 0,
      responseId: '',
      upstream: upstream.name,
      error: error.toWire(),
    });
    this.#failure = new MillraceError('MILLRACE_PROXY_LOST', {});
    this.#stalling = false;
    this.#stall.off();
    if (!this.#queue.rewind()) {
      const max = options.proxy.replayBytesMax;
      return this.#fail(new MillraceError('MILLRACE_PROXY_UNREPEATABLE', { max }));
    }
    this.#attempts.failed(index);
    // A connection that was there for a while had its own time to come about.
    if (error.code === 'MILLRACE_UPSTREAM_RESET')
      this.#deadlineMs = clock.now() + options.stream.deadlineMs;
    this.#back = undefined;
    this.#choose();
  }

  closed(code: number, reason: string, tooLarge: boolean): void {
    const { means } = this.#parts;
    if (this.#over) return;
    if (tooLarge) {
      const max = means.options.proxy.messageBytesMax;
      return this.#fail(new MillraceError('MILLRACE_PROXY_TOO_LARGE', { max }));
    }
    if (code === 1006) {
      if (this.#back) means.tally.attemptFailed(this.#back.upstream.index);
      return this.#fail(new MillraceError('MILLRACE_PROXY_LOST', {}));
    }
    this.#tap.close(codeForClient(code), reason);
    this.#ended(code);
  }

  /**
   * No retry budget here: an attempt costs a back end one handshake, and those that fail at once take the same few steps as the sessions that
   * a lost back end leaves to the others.
   */
  #choose(): void {
    if (this.#over) return;
    const { means } = this.#parts;
    const { backEnds, clock, random } = means;
    const usable = backEnds.usable(POOL);
    const next = this.#attempts.next(usable, clock.now(), this.#deadlineMs, random.next());
    if (next.kind === 'wait') return this.#wait.set(next.untilMs);
    // Whoever came before and waits goes first.
    const mayGo = next.kind === 'go' && !means.queue.ahead(LINE);
    const place = mayGo ? backEnds.take(next.among, POOL) : undefined;
    if (place) return this.#ask(place);
    const isBusy = next.kind === 'go' || (next.why === 'none' && backEnds.couldWait);
    if (isBusy && !this.#failure)
      return this.#line.begin(
        LINE,
        () => this.#try(),
        () => this.#none(),
      );
    this.#none();
  }

  #none(): void {
    this.#fail(this.#failure ?? new MillraceError('MILLRACE_PROXY_NONE', {}));
  }

  /** Its turn: is there room now? */
  #try(): boolean {
    const { backEnds } = this.#parts.means;
    const among = backEnds.usable(POOL);
    const place = among.length === 0 ? undefined : backEnds.take(among, POOL);
    if (!place) return false;
    this.#line.end();
    this.#ask(place);
    return true;
  }

  #ask(place: Place): void {
    const { means, facts } = this.#parts;
    const { backEnds, tally, options } = means;
    if (this.#attempts.made > 0) tally.failover();
    this.#attempts.begin();
    tally.attempt(place.upstream);
    const { protocol: agreed = '', address } = facts;
    // Whatever else was answered to a client (its key, where it offered nothing else) is none of a back end's business.
    const protocol = options.proxy.protocols.includes(agreed) ? agreed : undefined;
    try {
      this.#upstream = backEnds.upstream(place.upstream).options.name;
      this.#back = new BackEnd(means, place, { protocol, address }, this);
    } catch (thrown) {
      const error = asMillraceError(thrown);
      means.fault('proxy', error);
      place.leave('neither');
      this.#fail(error);
    }
  }

  #forward(): void {
    const { clock, options } = this.#parts.means;
    const back = this.#back;
    if (!back?.isOpen) return;
    this.#queue.flush(back.socket);
    const waits = this.#queue.waiting > 0;
    if (!waits) this.#stall.off();
    else if (!this.#stalling) this.#stall.set(clock.now() + options.proxy.stallTimeoutMs);
    this.#stalling = waits;
  }

  #roomy(): void {
    if (!this.#over && this.#tap.clear()) this.#back?.resume();
  }

  /** Somebody said something. */
  #moved(): void {
    const { clock, options } = this.#parts.means;
    const { idleTimeoutMs } = options.proxy;
    if (idleTimeoutMs > 0) this.#idle.set(clock.now() + idleTimeoutMs);
  }

  #settle(number: number): void {
    const { outbox, slot, generation } = this.#parts;
    new Tap(outbox, { slot, generation, stream: number }, 0).settle();
  }

  #fail(error: MillraceError): void {
    if (this.#over) return;
    const code = error.failure.close ?? closeCode.internal;
    this.#parts.means.tally.error(error.code);
    this.#back?.end(closeCode.away, '');
    this.#tap.close(code, error.message);
    this.#ended(code, error);
  }

  /** Told once. `code`: as whoever ended it said it. */
  #ended(code: number, error?: MillraceError): void {
    const { means, facts, slot, generation } = this.#parts;
    this.#over = true;
    this.#line.end();
    for (const alarm of [this.#wait, this.#idle, this.#stall, this.#life]) alarm.free();
    this.#queue.close();
    const { principal, keyName, address } = facts;
    means.publish({
      fact: 'proxy-ended',
      session: slot,
      generation,
      principal,
      ...(keyName !== undefined && { keyName }),
      address,
      upstream: this.#upstream,
      worker: means.worker,
      attempts: this.#attempts.made,
      closeCode: code,
      ...(error && { code: error.code }),
      messagesIn: this.#asked,
      bytesIn: this.#askedBytes,
      messagesOut: this.#answers,
      bytesOut: this.#answerBytes,
      durationMs: means.clock.now() - this.#startMs,
    });
  }
}
