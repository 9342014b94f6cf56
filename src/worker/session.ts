/**
 * One client's session on its worker: messages in order, commands, lanes, and what runs on them.
 *
 *   message ─▶ (parse elsewhere, if large) ─▶ decode ─▶ turn ─▶ lane ─▶ begin ─▶ Stream
 *                                               ├─▶ cancel ─▶ the running or waiting turn
 *                                               └─▶ reply, close
 */
import { asMillraceError, MillraceError } from '../errors.ts';
import { must } from '../must.ts';
import { Lanes } from '../policy/lanes.ts';
import type {
  ClientMessage,
  Command,
  Conversation,
  Dialect,
  ModelList,
  Turn,
} from '../protocol/dialect.ts';
import type { RouteRequest, RouteSession } from '../protocol/route.ts';
import type { SessionFacts } from '../threads/messages.ts';
import type { Alarm } from './alarms.ts';
import { chunked } from './chunk.ts';
import type { Packer } from './compress.ts';
import { Handling } from './handling.ts';
import { type Inflater, inflateMessage } from './inflate.ts';
import { keepAlive } from './keep-alive.ts';
import type { Means } from './means.ts';
import { allowedModels } from './models.ts';
import type { Outbox } from './outbox.ts';
import { paced, pacedStream } from './paced.ts';
import { SessionLimits } from './session-limits.ts';
import { Tap } from './tap.ts';
import type { Running } from './vetting.ts';

export interface SessionParts {
  readonly means: Means;
  readonly outbox: Outbox;
  readonly dialect: Dialect;
  readonly facts: SessionFacts;
  readonly slot: number;
  readonly generation: number;
  /** Where its client asked for an encoding. */
  readonly packer?: Packer;
  readonly inflater?: Inflater;
  /** Parses JSON elsewhere. */
  parse(bytes: Uint8Array): Promise<unknown>;
  draining(): boolean;
  /** Why no new turn may begin now. */
  overload(): MillraceError | undefined;
}

/** A client message on its way. */
interface Incoming {
  readonly message: ClientMessage;
  readonly tap: Tap;
}

/** A turn that waits or runs. */
interface Entry {
  turn: Turn;
  readonly tap: Tap;
  stream: Running | undefined;
  /** Not before this time of the thread's clock: its limits say so. */
  readonly startMs: number;
  /** Lets held openers go. */
  hold: Alarm | undefined;
  /** Fills a silence. */
  alive: Alarm | undefined;
}

export class Session {
  readonly generation: number;
  readonly #parts: SessionParts;
  readonly #conversation: Conversation;
  readonly #models: ModelList;
  readonly #lanes: Lanes<Entry>;
  readonly #limits: SessionLimits;
  /** Messages behind one that is being parsed elsewhere. */
  #inbox: Incoming[] | undefined;
  /** Taps of replies that still wait for credit. */
  #replies: Set<Tap> | undefined;
  #parsing = false;
  #closed = false;
  #advancing = false;
  #bookedHistory = 0;
  /** What the handler of a route sees of this session. */
  #seen: RouteSession | undefined;

  constructor(parts: SessionParts) {
    const { session, stream } = parts.means.options;
    this.#parts = parts;
    this.generation = parts.generation;
    const bounds = {
      historyBytesMax: session.historyBytesMax,
      outputBytesMax: stream.outputBytesMax,
      lanesMax: session.lanesMax,
      now: () => parts.means.clock.wall(),
    };
    this.#models = allowedModels(parts.means.route.models, parts.facts.rights);
    this.#conversation = parts.dialect.conversation(bounds, this.#models);
    this.#limits = new SessionLimits(parts.means, parts.facts);
    this.#lanes = new Lanes({
      runningMax: session.runningRequestsMax,
      queuedMax: session.queuedRequestsMax,
    });
  }

  get running(): number {
    return this.#lanes.running;
  }

  get queued(): number {
    return this.#lanes.queued;
  }

  /** `skip` and `paid`: see MESSAGE_PROLOGUE_BYTES. */
  message(message: ClientMessage, stream: number, skip: number, paid: number): void {
    const { outbox, slot, generation, means, packer } = this.#parts;
    const tap = new Tap(outbox, { slot, generation, stream }, skip, packer, paid);
    if (this.#parsing) {
      const max = means.options.session.queuedRequestsMax;
      this.#inbox ??= [];
      if (this.#inbox.length < max) this.#inbox.push({ message, tap });
      else this.#complain(tap, new MillraceError('MILLRACE_QUEUE_FULL', { max }));
      return;
    }
    this.#receive({ message, tap });
  }

  /** The client left, whatever it said: nothing is written any more, sockets close, memory is given back. */
  close(_code: number, _reason: string): void {
    this.#closed = true;
    this.#inbox = undefined;
    for (const { stream, tap, hold, alive } of this.#lanes.all()) {
      hold?.free();
      alive?.free();
      stream?.cancel('gone');
      tap.discard();
    }
    this.#replies = undefined;
    this.#parts.outbox.drop(this.#parts.slot, this.generation);
    this.#parts.outbox.ledger.give('history', this.#bookedHistory);
  }

  /** We stop: whatever waits or runs is answered. */
  abort(error: MillraceError): void {
    for (const entry of this.#lanes.all()) {
      if (entry.stream) entry.stream.abort(error);
      else this.#refuse(entry.turn, entry.tap, error);
    }
    for (const { tap } of this.#inbox?.splice(0) ?? []) this.#complain(tap, error);
  }

  #receive({ message, tap }: Incoming): void {
    const { inflater } = this.#parts;
    if (!message.binary || !inflater) return this.#read(message, tap);
    const take = (made: ClientMessage | MillraceError) =>
      made instanceof MillraceError ? this.#complain(tap, made) : this.#read(made, tap);
    const made = inflateMessage(inflater, message);
    return made instanceof Promise ? this.#later(made, take) : take(made);
  }

  #read(message: ClientMessage, tap: Tap): void {
    const { largeBodyBytes } = this.#parts.means.options.memory;
    if (message.binary || message.bytes.byteLength <= largeBodyBytes)
      return this.#decode({ message, tap });
    // What is wrong with it, the dialect finds out, and says so in its own words.
    const parsing = this.#parts.parse(message.bytes).catch(() => undefined);
    this.#later(parsing, (parsed) =>
      this.#decode({ message: parsed === undefined ? message : { ...message, parsed }, tap }),
    );
  }

  /** Another thread is at it: what the client sent behind it waits. */
  #later<T>(making: Promise<T>, go: (made: T) => void): void {
    this.#parsing = true;
    const settled = (made: T) => {
      this.#parsing = false;
      if (!this.#closed) go(made);
      this.#continue();
    };
    making
      .then(settled)
      .catch((thrown: unknown) => this.#parts.means.fault('jobs', asMillraceError(thrown)));
  }

  #continue(): void {
    while (!this.#parsing && !this.#closed) {
      const next = this.#inbox?.shift();
      if (!next) return;
      this.#receive(next);
    }
  }

  #decode({ message, tap }: Incoming): void {
    let command: Command;
    try {
      command = this.#conversation.decode(message);
    } catch (thrown) {
      const error = asMillraceError(thrown);
      if (error.code === 'MILLRACE_INTERNAL') this.#parts.means.fault('decode', error);
      return this.#complain(tap, error);
    }
    switch (command.kind) {
      case 'turn':
        return this.#admit(command.turn, tap, message.arrivedMs);
      case 'cancel':
        return this.#cancel(command, tap);
      case 'reply':
        return this.#reply(tap, command.frames);
      case 'close':
        this.#reply(tap, command.frames);
        return tap.close(command.code, command.reason);
    }
  }

  #admit(asked: Turn, tap: Tap, arrivedMs: number): void {
    const { means } = this.#parts;
    const startMs = this.#limits.admit(asked.model, tap, arrivedMs);
    const headers = this.#limits.headers();
    const turn = headers === undefined ? asked : { ...asked, headers };
    if (startMs instanceof MillraceError) {
      this.#refuse(turn, tap, startMs);
      return means.limits.closes ? this.#shut(startMs) : undefined;
    }
    if (this.#parts.draining())
      return this.#refuse(turn, tap, new MillraceError('MILLRACE_DRAINING', {}));
    // A turn that a dead worker had let in goes on.
    const overload = tap.opened || tap.paid > 0 ? undefined : this.#parts.overload();
    if (overload) {
      means.tally.overloaded();
      return this.#refuse(turn, tap, overload);
    }
    const entry: Entry = {
      turn,
      tap,
      startMs,
      stream: undefined,
      hold: undefined,
      alive: undefined,
    };
    const verdict = this.#lanes.admit(turn.lane, entry);
    if (verdict === 'full') {
      const max = means.options.session.queuedRequestsMax;
      return this.#refuse(turn, tap, new MillraceError('MILLRACE_QUEUE_FULL', { max }));
    }
    if (verdict === 'run') this.#begin(entry);
  }

  /** The lane is free. */
  #begin(entry: Entry): void {
    const { turn, tap } = entry;
    const { means, facts } = this.#parts;
    const { openerHoldMs } = means.options.stream;
    // Openers wait for the epitaph at least: whoever saw one can be told how it ended.
    tap.hold();
    if (openerHoldMs > 0) {
      entry.hold = means.alarms.create(() => tap.release());
      entry.hold.set(means.clock.now() + openerHoldMs);
    }
    const done = () => {
      entry.hold?.free();
      entry.alive?.free();
      tap.release();
      this.#done(entry);
    };
    try {
      const opening = this.#conversation.begin(turn, tap);
      if (opening.kind === 'answer') {
        this.#answer(tap, opening.frames);
        return done();
      }
      if (opening.kind === 'handle') return this.#handle(entry, opening.request, done);
      const { request } = opening;
      const encoder = chunked(means, facts.dialect, opening.encoder, tap);
      tap.epitaph(encoder.epitaph(new MillraceError('MILLRACE_WORKER_LOST', {})));
      if (openerHoldMs === 0) tap.release();
      const { dialect, principal, keyName } = facts;
      // What it was asked with is read: only the request holds it from here on, until it is answered.
      entry.turn = { ...turn, detail: undefined };
      const about = {
        turn: entry.turn,
        dialect,
        principal,
        keyName,
        trace: turn.trace ?? facts.trace,
      };
      const parts = { means, facts: about, session: facts, request, encoder, tap, done };
      entry.stream = pacedStream(parts, entry.startMs);
      if (opening.encoder.alive) entry.alive = keepAlive(means, opening.encoder, tap);
      entry.stream.start();
    } catch (thrown) {
      const error = asMillraceError(thrown);
      if (error.code === 'MILLRACE_INTERNAL') means.fault('begin', error);
      if (entry.stream) throw thrown;
      this.#refuse(turn, tap, error);
      done();
    }
  }

  /** The module of the session's route answers. */
  #handle(entry: Entry, request: RouteRequest, done: () => void): void {
    const { means, facts } = this.#parts;
    const { route: path = '', principal, address } = facts;
    const handler = means.modules.routes.get(path);
    must(handler, `no route ${path}`);
    this.#seen ??= { path, principal, address, state: new Map() };
    entry.tap.release();
    const ask = { handler, request, session: this.#seen, facts, models: this.#models };
    entry.stream = paced(means, entry.startMs, new Handling(means, ask, entry.tap, done));
    entry.stream.start();
  }

  #done(entry: Entry): void {
    if (this.#closed) return;
    this.#bookHistory();
    this.#lanes.done(entry.turn.lane);
    // A turn that is answered at once is done before it has begun: no recursion.
    if (this.#advancing) return;
    this.#advancing = true;
    for (let next = this.#lanes.take(); next; next = this.#lanes.take()) this.#begin(next);
    this.#advancing = false;
  }

  #cancel(command: Extract<Command, { kind: 'cancel' }>, tap: Tap): void {
    const found = this.#find(command);
    if (found.length === 0) return this.#reply(tap, [command.unmatched]);
    // Waiting ones leave the lane first, so that none begins when the running one frees it; they end after it, in their order.
    const waiting = found.filter(
      (entry) => !entry.stream && this.#lanes.remove(entry.turn.lane, entry),
    );
    for (const entry of found) entry.stream?.cancel('client');
    for (const entry of waiting) this.#cancelWaiting(entry);
    tap.settle();
  }

  #cancelWaiting({ turn, tap }: Entry): void {
    if (!tap.opened) return this.#refuse(turn, tap, new MillraceError('MILLRACE_CANCELLED', {}));
    // A worker that died had begun it: the client waits for the end of that response, not for an error beside it.
    const opening = this.#conversation.begin(turn, tap);
    if (opening.kind === 'run') opening.encoder.cancel();
    else this.#answer(tap, opening.kind === 'answer' ? opening.frames : []);
  }

  #find({ responseId, lane }: { responseId?: string; lane?: string }): Entry[] {
    if (responseId === undefined) return lane === undefined ? [] : this.#lanes.on(lane);
    const among = lane === undefined ? this.#lanes.all() : this.#lanes.on(lane);
    return among.filter(({ turn }) => turn.responseId === responseId);
  }

  #refuse(turn: Turn, tap: Tap, error: MillraceError): void {
    this.#parts.means.tally.error(error.code);
    this.#reply(tap, [this.#conversation.refuse(turn, error)]);
  }

  #complain(tap: Tap, error: MillraceError): void {
    this.#parts.means.tally.error(error.code);
    this.#reply(tap, [this.#parts.dialect.complain(error)]);
  }

  #reply(tap: Tap, frames: readonly Uint8Array[]): void {
    this.#answer(tap, frames);
    if (tap.drained) return;
    const replies = (this.#replies ??= new Set());
    const max = this.#parts.means.options.session.queuedRequestsMax;
    replies.add(tap);
    tap.onResumed(() => replies.delete(tap));
    // It sends and does not read: its answers may not pile up here.
    if (replies.size <= max) return;
    const { slowClientTimeoutMs } = this.#parts.means.options.session;
    const slow = new MillraceError('MILLRACE_CLIENT_SLOW', { limitMs: slowClientTimeoutMs });
    tap.discard();
    replies.delete(tap);
    this.#shut(slow);
  }

  /** Its client may come again later. */
  #shut({ message }: MillraceError): void {
    const { outbox, slot, generation } = this.#parts;
    new Tap(outbox, { slot, generation, stream: 0 }, 0).close(1013, message);
  }

  /** Whole frames that need no upstream; the last one ends the message. */
  #answer(tap: Tap, frames: readonly Uint8Array[]): void {
    if (frames.length === 0) return tap.settle();
    for (const frame of frames.slice(0, -1)) {
      tap.frame(frame, frame.byteLength, 0, tap.nextSequence);
    }
    tap.last(frames[frames.length - 1]);
  }

  #bookHistory(): void {
    const { ledger } = this.#parts.outbox;
    const more = this.#conversation.heldBytes - this.#bookedHistory;
    if (more > 0 && !ledger.take('history', more)) return;
    if (more < 0) ledger.give('history', -more);
    this.#bookedHistory += more;
  }
}
