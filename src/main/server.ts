/**
 * The main thread's half of the engine: handlers of the WebSocket backend on one side, the workers' links on the other. It holds
 * no policy of its own: accept decides who comes in, admit what a message means, deliver what goes out.
 */
import { type Code, MillraceError } from '../errors.ts';
import { Kind } from '../memory/layout.ts';
import type { Options } from '../options/schema.ts';
import type { Clock, Random, Ticker } from '../policy/ports.ts';
import { clipReason, close as closeCode } from '../protocol/close.ts';
import type { Dialect } from '../protocol/dialect.ts';
import { parseTraceparent } from '../protocol/trace-context.ts';
import type { Epitaph } from '../threads/epitaph-record.ts';
import type { Fact } from '../threads/facts.ts';
import type { Accept, AcceptVerdict, Soon } from './accept.ts';
import { refusal, waitOf } from './accept.ts';
import { admissionOf } from './admission.ts';
import type { Admit, AdmitEvents } from './admit.ts';
import type {
  BackendHandlers,
  Connection,
  HttpReply,
  RequestHead,
  StreamVerdict,
  UpgradeVerdict,
} from './backend/backend.ts';
import { readable } from './cors.ts';
import type { Counts } from './counts.ts';
import type { Crew } from './crew.ts';
import type { DeliverEvents } from './deliver.ts';
import { isDictionaryPath } from './dictionary-route.ts';
import type { DoorLimits } from './door-limits.ts';
import { settledAs } from './encodings.ts';
import { type SessionEnd, sessionEnded, streamLost } from './ends.ts';
import { MODELS_PATH } from './models.ts';
import type { Overload } from './overload.ts';
import type { Paths } from './paths.ts';
import { tellAccept } from './points.ts';
import { decidePost } from './posted.ts';
import type { Request, Requests } from './requests.ts';
import type { Admission, Session, Sessions } from './session.ts';
import type { Sockets } from './sockets.ts';
import { Sweep } from './sweep.ts';

/** Closing many sessions at once would bring them all back at once. */
const CLOSE_SPREAD_MS = 200;
const DRAIN_POLL_MS = 10;

export interface ServerParts {
  readonly options: Options;
  readonly accept: Accept;
  readonly admit: Admit;
  readonly door: DoorLimits;
  readonly crew: Crew;
  readonly sessions: Sessions;
  readonly requests: Requests;
  readonly counts: Counts;
  readonly overload: Overload;
  readonly dialects: Readonly<Record<string, Dialect>>;
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly random: Random;
  readonly ticker: Ticker;
  readonly paths: Paths;
  /** Plain HTTP of a known host: the page, the model list. */
  http(head: RequestHead, body: Uint8Array): Soon<HttpReply>;
  fault(error: unknown, where: string): void;
  fact(fact: Fact): void;
}

export class Server implements BackendHandlers {
  readonly #parts: ServerParts;
  #options: Options;
  #draining = false;
  readonly #sweep: Sweep;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#options = parts.options;
    this.#sweep = new Sweep(parts, {
      end: (session, error) => this.end(session, error),
      checkKey: (session) => this.#checkKey(session),
    });
  }

  get draining(): boolean {
    return this.#draining;
  }
  /** Between `start` and `stop`. */
  get listening(): boolean {
    return this.#sweep.running;
  }

  /** Idempotent. */
  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  // ① accept

  upgrade(seen: RequestHead): Soon<UpgradeVerdict> {
    const { accept, clock, counts, sessions } = this.#parts;
    const head = accept.locate(seen);
    counts.stage('accept');
    const busy = this.#parts.overload.handshake();
    const shut = this.#draining ? new MillraceError('MILLRACE_DRAINING', {}) : busy;
    if (shut) return this.#refuse(head, shut, refusal(shut, waitOf(shut)));
    const verdict = accept.decide(head, clock.now(), sessions.count);
    if (!(verdict instanceof Promise)) return this.#answer(head, verdict);
    return verdict.then((settled) => this.#answer(head, settled));
  }

  #answer(head: RequestHead, verdict: AcceptVerdict): UpgradeVerdict {
    if (verdict.kind === 'refuse') return this.#refuse(head, verdict.error, verdict.reply);
    const { dialect, principal, protocol, agreement } = verdict;
    const agreed = protocol === undefined ? {} : { protocol };
    const trace = parseTraceparent(head.header('traceparent'), head.header('tracestate'));
    const { address, path } = head;
    const route = dialect === 'route' ? { route: path } : {};
    if (agreement?.reason !== undefined) this.#parts.counts.encodingRefused(agreement.reason);
    const { facts: encoded, answer } = settledAs(agreement);
    const facts = { address, path, ...agreed, ...encoded, ...route, ...(trace && { trace }) };
    const user = admissionOf(verdict, facts);
    tellAccept(dialect, principal, address);
    return { accept: true, user, ...agreed, ...answer };
  }

  /** A POST that is answered in pieces: a session of one request. */
  stream(seen: RequestHead): Soon<StreamVerdict> | undefined {
    const { accept, clock, counts, sessions, options, paths } = this.#parts;
    if (seen.method !== 'POST' || paths.postOf(seen.path) === undefined) return undefined;
    counts.stage('accept');
    return decidePost(accept.locate(seen), accept, {
      draining: this.#draining,
      bodyBytesMax: options.server.messageBytesMax,
      decide: (head) => accept.decide(head, clock.now(), sessions.count),
      admit: (head, verdict) => this.#answer(head, verdict),
      refuse: (head, error, reply) => this.#refuse(head, error, reply),
    });
  }

  /** Is a WebSocket served at its path? */
  servesSocket(seen: RequestHead): boolean {
    const { accept, paths } = this.#parts;
    return paths.dialectOf(accept.locate(seen).path) !== undefined;
  }

  /** Is anything but the demo's page answered at its path over plain HTTP? */
  servesPlain(seen: RequestHead): boolean {
    const { accept, paths } = this.#parts;
    const { path } = accept.locate(seen);
    const known = paths.dialectOf(path) ?? paths.postOf(path);
    const isModels = `${path}/`.startsWith(`${MODELS_PATH}/`);
    return known !== undefined || isModels || isDictionaryPath(path);
  }

  open(connection: Connection): void {
    const { sessions, accept, counts, clock } = this.#parts;
    const admission = connection.user as Admission;
    connection.user = undefined;
    if (sessions.full || this.#draining) {
      return connection.close(closeCode.later, 'no session is free');
    }
    const session = sessions.add(connection, admission, clock.now());
    connection.user = session;
    this.#parts.door.opened(session.slot);
    accept.opened(admission.address, admission.principal);
    counts.opened(admission.dialect, sessions.count);
    this.#parts.sockets.opened(session);
    if (admission.dialect === 'proxy' && !this.#parts.crew.links[session.worker].greet(session))
      this.#restart(session);
  }

  // ② admit

  message(connection: Connection, bytes: Uint8Array, binary: boolean): void {
    const session = connection.user as Session | undefined;
    if (!session?.open) return;
    session.heard = true;
    this.#parts.admit.message(session, bytes, binary);
  }

  alive(connection: Connection): void {
    const session = connection.user as Session | undefined;
    if (session) session.heard = true;
  }

  // ⑦ deliver: what the client's socket says back

  drain(connection: Connection): void {
    const session = connection.user as Session | undefined;
    if (!session?.open || session.fullSinceMs === 0) return;
    const waits = this.#parts.sessions.grant(session);
    session.fullSinceMs = connection.buffered() > 0 ? this.#parts.clock.now() : 0;
    if (session.ending) return this.over(session);
    if (waits) this.credited(session);
    this.#parts.sockets.drained(session);
  }

  credited(session: Session): void {
    const link = this.#parts.crew.links[session.worker];
    link.control(Kind.credit, session);
  }

  close(connection: Connection, code = 1006, reason = ''): void {
    const session = connection.user as Session | undefined;
    if (!session) return;
    connection.user = undefined;
    this.#leave(session, { by: 'client', closeCode: code }, reason);
  }

  http(seen: RequestHead, body: Uint8Array): Soon<HttpReply> {
    const { accept } = this.#parts;
    const head = accept.locate(seen);
    const forbidden = accept.checkHost(head);
    if (forbidden) return refusal(forbidden);
    const reply = this.#parts.http(head, body);
    if (!accept.originAllowed(head)) return reply;
    return reply instanceof Promise
      ? reply.then((settled) => readable(head, settled))
      : readable(head, reply);
  }

  fault(error: unknown, where: string): void {
    this.#parts.counts.error('MILLRACE_INTERNAL');
    this.#parts.fault(error, where);
  }

  /** Ends a session for this reason: its error's close code and sentence. */
  end(session: Session, error: MillraceError): void {
    this.#parts.counts.error(error.code);
    this.closeSession(session, error.failure.close ?? closeCode.later, error.message, error.code);
  }

  closeSession(session: Session, code: number, reason: string, why?: Code): void {
    const said = clipReason(reason);
    session.connection.close(code, said);
    this.#leave(session, { by: 'server', closeCode: code, code: why }, said);
  }

  /** The one answer of a session is sent: it ends when all of that is taken, or when its client stops to read. */
  over(session: Session): void {
    if (!session.open) return;
    session.ending = session.connection.buffered() > 0;
    if (session.ending) session.fullSinceMs ||= this.#parts.clock.now();
    else this.closeSession(session, closeCode.normal, '');
  }

  /** A request whose worker is lost and that cannot run again: its epitaph, or a complaint when its client has no frame of it. */
  bury(request: Request): void {
    const { session, epitaph, delivered } = request;
    const { requests, counts, dialects } = this.#parts;
    const error = new MillraceError('MILLRACE_WORKER_LOST', {});
    counts.error(error.code);
    if (session.open) {
      const begun = delivered > 0 || !session.once;
      // An answer that is the only one of its connection begins with a status: the epitaph stands for one that has begun.
      const frame =
        epitaph && begun
          ? lastWords(epitaph, delivered)
          : dialects[session.admission.dialect].complain(error);
      session.connection.send(frame, false);
    }
    this.#parts.fact(streamLost(request, error.code, this.#parts.clock.now()));
    requests.settle(request);
    if (session.once) this.over(session);
  }

  /** A worker is lost, and with it the connections of its sessions to their back ends. */
  abandon(worker: number): void {
    const { sessions } = this.#parts;
    sessions.slice(0, sessions.used, (session) => {
      const isIts = session.worker === worker && session.admission.dialect === 'proxy';
      if (isIts) this.#restart(session);
    });
  }

  #restart(session: Session): void {
    const { code, message } = new MillraceError('MILLRACE_WORKER_LOST', {});
    this.#parts.counts.error(code);
    this.closeSession(session, closeCode.restart, message, code);
  }

  /** Changed options: timeouts, and who may come in; whoever came by a key that is gone leaves (`session.whenRevoked`). */
  reconfigure(options: Options): void {
    const { accept, sessions } = this.#parts;
    accept.reconfigure(options);
    this.#options = options;
    this.#parts.sockets.reconfigure(options);
    this.#sweep.reconfigure(options);
    sessions.slice(0, sessions.used, (session) => this.#checkKey(session));
  }

  #checkKey(session: Session): void {
    session.revoked ||= !this.#parts.accept.stillHolds(session.admission);
    if (!session.revoked) return;
    if (this.#options.session.whenRevoked === 'drain' && session.unsettled > 0) return;
    this.end(session, new MillraceError('MILLRACE_KEY_REVOKED', {}));
  }

  /** Running streams finish (at most `limitMs`) or end in a failure; the workers stop; every session is closed with 1012. */
  async drainAll(limitMs: number): Promise<void> {
    this.#draining = true;
    this.#parts.crew.drain();
    await this.#idle(limitMs);
    await this.#parts.crew.stop();
    await this.#closeAll();
  }

  #idle(limitMs: number): Promise<void> {
    const { requests, sockets, ticker } = this.#parts;
    return new Promise((resolve) => {
      const done = () => {
        stop();
        cancel();
        resolve();
      };
      const cancel = ticker.after(limitMs, done);
      const stop = ticker.every(DRAIN_POLL_MS, () => {
        if (requests.count === 0 && sockets.working === 0) done();
      });
    });
  }

  async #closeAll(): Promise<void> {
    const { sessions, ticker, random } = this.#parts;
    const { message } = new MillraceError('MILLRACE_DRAINING', {});
    const spreadMs = Math.min(CLOSE_SPREAD_MS, sessions.count);
    const closing: Promise<void>[] = [];
    sessions.slice(0, sessions.used, (session) => {
      const closed = new Promise<void>((resolve) => {
        ticker.after(spreadMs * random.next(), () => {
          if (session.open)
            this.closeSession(session, closeCode.restart, message, 'MILLRACE_DRAINING');
          resolve();
        });
      });
      closing.push(closed);
    });
    await Promise.all(closing);
  }

  #refuse(head: RequestHead, error: MillraceError, reply: HttpReply): UpgradeVerdict {
    tellAccept('', '', head.address, error.code);
    this.#parts.counts.refused(error.code);
    this.#parts.fact({ fact: 'handshake-refused', code: error.code, address: head.address });
    return { accept: false, reply };
  }

  #leave(session: Session, end: SessionEnd, reason: string): void {
    if (!session.open) return;
    const { sessions, requests, accept, crew, counts, clock } = this.#parts;
    sessions.remove(session);
    requests.settleAll(session);
    const link = crew.links[session.worker];
    link.control(Kind.sessionClose, session, end.closeCode, Buffer.from(reason));
    accept.closed(session.address, session.principal);
    counts.sessions(sessions.count);
    this.#parts.fact(sessionEnded(session, end, clock.now()));
    this.#parts.sockets.gone(session, end.closeCode, reason);
  }
}

/** Deliver's view of the server. */
export function deliverEvents(server: () => Server): DeliverEvents {
  return {
    credited: (session) => server().credited(session),
    close: (session, code, reason) => server().closeSession(session, code, reason),
    over: (session) => server().over(session),
  };
}

/** Admit's view of the server. */
export function admitEvents(
  server: () => Server,
  sockets: Sockets,
  overload: Overload,
): AdmitEvents {
  return {
    end: (session, error) => server().end(session, error),
    over: (session) => server().over(session),
    began: () => overload.wake(),
    socket: (session, bytes, binary) => sockets.received(session, bytes, binary),
    refused: (session, error) => sockets.refused(session, error),
  };
}

/** The frame for a client that has `sequence` frames: the next number (decimal) stands in the gap. */
function lastWords({ bytes, at, unopened }: Epitaph, sequence: number): Uint8Array {
  if (sequence === 0 && unopened) return unopened;
  if (at < 0) return bytes;
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(String(sequence)), bytes.subarray(at)]);
}
