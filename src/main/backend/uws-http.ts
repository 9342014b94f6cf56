/** Requests of the uWebSockets.js backend: handshakes and plain HTTP. */
import { STATUS_CODES } from 'node:http';
import { MillraceError } from '../../errors.ts';
import { refusal } from '../accept.ts';
import type {
  BackendHandlers,
  DeflateTerms,
  HttpReply,
  ListenOptions,
  ProxyPeers,
  RequestHead,
  StreamVerdict,
  UpgradeVerdict,
} from './backend.ts';
import { addressText, HeaderList, type RequestKind, requestKind } from './handshake.ts';
import { RequestBody } from './request-body.ts';
import { UwsArrival } from './uws-answer.ts';
import { Exchange, framing } from './uws-exchange.ts';
import type { UwsRequest, UwsResponse } from './uws-module.ts';

interface UwsRequests {
  readonly upgrade: (res: UwsResponse, req: UwsRequest, context: object) => void;
  readonly http: (res: UwsResponse, req: UwsRequest) => void;
}

/**
 * `corksLate`: a late upgrade runs under cork. Cores from 20.47 to 20.78 may close the new socket at once then (uWebSockets issue 1928), so there it
 * runs without, and the core prints a warning each time. Handlers that answer at once never come there.
 */
export function uwsRequests(
  { bodyBytesMax, messageBytesMax, proxy, deflate }: ListenOptions,
  corksLate: boolean,
  handlers: BackendHandlers,
): UwsRequests {
  const failed = (exchange: Exchange, error: unknown, where: string) => {
    handlers.fault(error, where);
    answer(exchange, internal, false);
  };

  function upgrade(res: UwsResponse, req: UwsRequest, context: object): void {
    const exchange = new Exchange(res, proxy !== undefined);
    try {
      const { head, kind } = inspect(res, req, proxy);
      if (kind === 'http') return plain(exchange, head);
      if (kind !== 'upgrade') return answer(exchange, refusal(kind), false);
      const settle = (verdict: UpgradeVerdict, late: boolean) =>
        verdict.accept
          ? accept(exchange, head, verdict, context, { corks: late && corksLate, deflate })
          : answer(exchange, verdict.reply, false);
      const verdict = handlers.upgrade(head);
      if (!(verdict instanceof Promise)) return settle(verdict, false);
      verdict
        .then((settled) => settle(settled, true))
        .catch((error: unknown) => failed(exchange, error, 'upgrade'));
    } catch (error) {
      failed(exchange, error, 'upgrade');
    }
  }

  function http(res: UwsResponse, req: UwsRequest): void {
    const exchange = new Exchange(res, proxy !== undefined);
    try {
      const { head, kind } = inspect(res, req, proxy);
      if (kind === 'http') plain(exchange, head);
      // A handshake the core itself did not take for one has a key of another length.
      else answer(exchange, refusal(kind === 'upgrade' ? badKey : kind), head.method === 'HEAD');
    } catch (error) {
      failed(exchange, error, 'http');
    }
  }

  function plain(exchange: Exchange, head: RequestHead): void {
    const bodiless = head.method === 'HEAD';
    const verdict = bodiless ? undefined : handlers.stream?.(head);
    if (verdict) return streamed(exchange, head, verdict, messageBytesMax, handlers, failed);
    if (Number(head.header('content-length') ?? 0) > bodyBytesMax)
      return answer(exchange, tooLarge(bodyBytesMax), bodiless);
    // The core is lenient about where chunks end: what follows them is not taken for another request.
    exchange.last ||= head.header('transfer-encoding') !== undefined;
    const body = new RequestBody(bodyBytesMax);
    exchange.res.onData((chunk, last) => {
      if (exchange.done) return;
      if (!body.add(new Uint8Array(chunk)))
        return answer(exchange, tooLarge(bodyBytesMax), bodiless);
      if (last) respond(exchange, head, body.whole());
    });
  }

  function respond(exchange: Exchange, head: RequestHead, body: Uint8Array): void {
    const bodiless = head.method === 'HEAD';
    try {
      const reply = handlers.http(head, body);
      if (!(reply instanceof Promise)) return answer(exchange, reply, bodiless);
      reply
        .then((settled) => answer(exchange, settled, bodiless))
        .catch((error: unknown) => failed(exchange, error, 'http'));
    } catch (error) {
      failed(exchange, error, 'http');
    }
  }

  return { upgrade, http };
}

/** The core hands out the body at once, also while the verdict is still out. */
function streamed(
  exchange: Exchange,
  head: RequestHead,
  verdict: StreamVerdict | Promise<StreamVerdict>,
  bytesMax: number,
  handlers: BackendHandlers,
  failed: (exchange: Exchange, error: unknown, where: string) => void,
): void {
  exchange.last ||= head.header('transfer-encoding') !== undefined;
  const arrival = new UwsArrival(exchange, head, bytesMax, handlers);
  exchange.res.onData((chunk, last) => arrival.data(new Uint8Array(chunk), last));
  const settle = (settled: StreamVerdict) => {
    if (settled.accept) arrival.accept(settled);
    else answer(exchange, settled.reply, false);
  };
  if (!(verdict instanceof Promise)) return settle(verdict);
  verdict.then(settle).catch((error: unknown) => failed(exchange, error, 'stream'));
}

const badKey = new MillraceError('MILLRACE_HANDSHAKE_INVALID', {
  reason: 'Sec-WebSocket-Key must be 16 bytes in base64',
});
const internal = refusal(
  new MillraceError('MILLRACE_INTERNAL', { reason: 'the request could not be handled' }),
);

function tooLarge(max: number): HttpReply {
  return refusal(new MillraceError('MILLRACE_MESSAGE_TOO_LARGE', { max }));
}

function inspect(
  res: UwsResponse,
  req: UwsRequest,
  proxy: ProxyPeers | undefined,
): { head: RequestHead; kind: RequestKind } {
  const headers = new HeaderList();
  req.forEach((name, value) => headers.add(name, value));
  const peer = textOf(res.getRemoteAddressAsText());
  const proxied = textOf(res.getProxiedRemoteAddressAsText());
  const head: RequestHead = {
    method: req.getMethod().toUpperCase(),
    path: req.getUrl(),
    query: req.getQuery() ?? '',
    header: (name) => headers.get(name),
    headers: () => headers.all(),
    hosts: headers.hosts,
    address: proxied === '' ? peer : proxied,
  };
  const kind = misplaced(peer, proxied, proxy) ?? requestKind(head, headers);
  return { head, kind };
}

function textOf(address: ArrayBuffer): string {
  return addressText(Buffer.from(address).toString('latin1'));
}

/**
 * The core takes a PROXY header from anybody, in front of every request. One from a stranger is the garbage it looks like; one of a client behind
 * a proxy of ours never comes to pass, because each connection ends with its first answer (`Exchange.last`).
 */
function misplaced(
  peer: string,
  proxied: string,
  proxy: ProxyPeers | undefined,
): MillraceError | undefined {
  if (proxied === '' ? !proxy?.required : proxy?.trusts(peer)) return undefined;
  const reason = proxied === '' ? 'a PROXY header is required' : 'it begins with a PROXY header';
  return new MillraceError('MILLRACE_HANDSHAKE_INVALID', { reason });
}

function accept(
  exchange: Exchange,
  head: RequestHead,
  verdict: Extract<UpgradeVerdict, { accept: true }>,
  context: object,
  { corks, deflate }: { corks: boolean; deflate: DeflateTerms | undefined },
): void {
  if (exchange.done) return;
  exchange.done = true;
  const upgrade = () => {
    const added = Object.entries(verdict.headers ?? {});
    // The status first: the core would begin with 200.
    if (added.length > 0) exchange.res.writeStatus('101 Switching Protocols');
    for (const [name, value] of added) exchange.res.writeHeader(name, value);
    exchange.res.upgrade(
      { ticket: verdict.user as object },
      head.header('sec-websocket-key') ?? '',
      verdict.protocol ?? '',
      deflate ? (head.header('sec-websocket-extensions') ?? '') : '',
      context,
    );
  };
  if (corks) exchange.res.cork(upgrade);
  else upgrade();
}

/**
 * Answers once. Safe after the peer has left. The last answer of a connection waits for a turn: the core goes on with the next request of the same
 * packet although it was told to close, but drops a connection whose request is still open then.
 */
function answer(exchange: Exchange, reply: HttpReply, bodiless: boolean): void {
  if (exchange.done) return;
  exchange.done = true;
  if (!exchange.last && !isLast(reply)) write(exchange.res, reply, bodiless, false);
  else
    setImmediate(() => {
      if (!exchange.gone) write(exchange.res, reply, bodiless, true);
    });
}

/** A body goes out as the peer takes it. */
function write(res: UwsResponse, reply: HttpReply, bodiless: boolean, last: boolean): void {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  res.cork(() => {
    res.writeStatus(`${reply.status} ${STATUS_CODES[reply.status] ?? 'Status'}`);
    for (const [name, value] of Object.entries(reply.headers))
      if (!framing.has(name.toLowerCase())) res.writeHeader(name, value);
    // After an answer without a body the old core answers nothing more on the connection: the client is told to close it.
    if (bodiless && res.endWithoutBody) res.endWithoutBody(body.length, true);
    else if (body.length <= SMALL_BODY_BYTES) res.end(body, last);
    else stream(res, body, last);
  });
}

/** With its head it fits the core's cork buffer of 16 KiB: written whole or queued whole. A longer plain write may be lost (core before 20.77). */
const SMALL_BODY_BYTES = 8 * 1024;

function isLast(reply: HttpReply): boolean {
  return Object.entries(reply.headers).some(
    ([name, value]) => name.toLowerCase() === 'connection' && value.toLowerCase() === 'close',
  );
}

/** `tryEnd` takes what fits and never queues; the core calls with the offset to go on from. The old core ignores its third argument. */
function stream(res: UwsResponse, body: Uint8Array, last: boolean): void {
  if (last) res.writeHeader('Connection', 'close');
  const [, done] = res.tryEnd(body, body.length, last);
  if (done) return;
  res.onWritable((offset) => {
    const [ok] = res.tryEnd(body.subarray(offset), body.length, last);
    return ok;
  });
}
