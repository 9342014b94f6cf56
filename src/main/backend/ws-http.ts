/** Requests of the ws backend that are no handshakes: plain HTTP over node:http. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { MillraceError } from '../../errors.ts';
import { close as closeCode } from '../../protocol/close.ts';
import { refusal } from '../accept.ts';
import { AnswerConnection } from './answer-connection.ts';
import type {
  BackendHandlers,
  HttpReply,
  ListenOptions,
  RequestHead,
  StreamVerdict,
} from './backend.ts';
import { HeaderList, type RequestKind, requestKind } from './handshake.ts';
import { addressOf } from './proxy-door.ts';
import { RequestBody } from './request-body.ts';
import { WsOutlet } from './ws-answer.ts';

export class WsRequests {
  readonly #options: ListenOptions;
  readonly #handlers: BackendHandlers;

  constructor(options: ListenOptions, handlers: BackendHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** `waits`: the client sends its body only when it is told to (RFC 9110 section 10.1.1). */
  take(request: IncomingMessage, response: ServerResponse, waits = false): void {
    const { head, kind } = inspect(request);
    // A whole handshake never comes here: node:http would have called it an upgrade.
    if (kind === 'upgrade') return answer(response, refusal(notUpgraded));
    if (kind !== 'http') return answer(response, refusal(kind));
    const wanted = () => {
      if (waits) response.writeContinue();
    };
    try {
      const verdict = head.method === 'HEAD' ? undefined : this.#handlers.stream?.(head);
      if (verdict === undefined) return this.#plain(request, response, head, wanted);
      const settle = (settled: StreamVerdict) => this.#stream(request, response, settled, wanted);
      if (verdict instanceof Promise)
        verdict.then(settle).catch((error: unknown) => this.#failed(response, error, 'stream'));
      else settle(verdict);
    } catch (error) {
      this.#failed(response, error, 'stream');
    }
  }

  #plain(
    request: IncomingMessage,
    response: ServerResponse,
    head: RequestHead,
    wanted: () => void,
  ): void {
    const max = this.#options.bodyBytesMax;
    const tooLarge = () =>
      answer(response, refusal(new MillraceError('MILLRACE_MESSAGE_TOO_LARGE', { max })));
    request.on('error', () => response.destroy());
    collect(request, max, wanted, tooLarge, (body) => {
      try {
        const reply = this.#handlers.http(head, body);
        if (reply instanceof Promise)
          reply
            .then((settled) => answer(response, settled))
            .catch((error: unknown) => this.#failed(response, error, 'http'));
        else answer(response, reply);
      } catch (error) {
        this.#failed(response, error, 'http');
      }
    });
  }

  #stream(
    request: IncomingMessage,
    response: ServerResponse,
    verdict: StreamVerdict,
    wanted: () => void,
  ): void {
    if (response.destroyed) return;
    if (!verdict.accept) return answer(response, verdict.reply);
    const outlet = new WsOutlet(response, () => connection.drained());
    const connection = new AnswerConnection(outlet, verdict, this.#handlers);
    response.on('error', () => {});
    request.on('error', () => {});
    response.once('close', () => {
      if (!outlet.over) connection.gone();
    });
    connection.opened();
    const max = Math.min(verdict.bodyBytesMax, this.#options.messageBytesMax);
    const tooLarge = () => {
      response.setHeader('connection', 'close');
      const { message } = new MillraceError('MILLRACE_MESSAGE_TOO_LARGE', { max });
      connection.close(closeCode.tooLarge, message);
    };
    collect(request, max, wanted, tooLarge, (body) => connection.received(body));
  }

  #failed(response: ServerResponse, error: unknown, where: string): void {
    this.#handlers.fault(error, where);
    answer(response, internal);
  }
}

export const internal = refusal(
  new MillraceError('MILLRACE_INTERNAL', { reason: 'the request could not be handled' }),
);
const notUpgraded = new MillraceError('MILLRACE_UPGRADE_REQUIRED', {});

export function inspect(request: IncomingMessage): { head: RequestHead; kind: RequestKind } {
  const headers = new HeaderList();
  const raw = request.rawHeaders;
  for (let i = 0; i < raw.length; i += 2) headers.add(raw[i], raw[i + 1]);
  const [path = '', ...query] = (request.url ?? '').split('?');
  const head: RequestHead = {
    method: request.method ?? '',
    path,
    query: query.join('?'),
    header: (name) => headers.get(name),
    headers: () => headers.all(),
    hosts: headers.hosts,
    address: addressOf(request.socket),
  };
  const kind = requestKind(head, headers);
  const least = kind === 'upgrade' ? 1 : 0;
  const known = request.httpVersionMajor === 1 && request.httpVersionMinor >= least;
  return { head, kind: known || kind instanceof MillraceError ? kind : oldHttp };
}

const oldHttp = new MillraceError('MILLRACE_HANDSHAKE_INVALID', { reason: 'HTTP/1.1 is required' });

/** An answer where node:http has already let go of the socket. Ends it. */
export function answerRaw(socket: Duplex, reply: HttpReply): void {
  if (socket.destroyed || socket.writableEnded) return;
  const body = Buffer.from(reply.body);
  const lines = [`HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? 'Status'}`];
  for (const [name, value] of Object.entries(reply.headers))
    if (!framing.has(name.toLowerCase())) lines.push(`${name}: ${value}`);
  lines.push('Connection: close', `Content-Length: ${body.length}`, '', '');
  socket.end(Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body]));
  socket.resume(); // what the client still sends is dropped, so that the answer is not
}

const framing = new Set(['connection', 'content-length', 'transfer-encoding']);

/** Reads a body of at most `max` bytes; `done` or `tooLarge` comes once, or neither when the client leaves. */
function collect(
  request: IncomingMessage,
  max: number,
  wanted: () => void,
  tooLarge: () => void,
  done: (body: Buffer) => void,
): void {
  if (Number(request.headers['content-length'] ?? 0) > max) return tooLarge();
  wanted();
  const body = new RequestBody(max);
  let refused = false;
  request.on('data', (chunk: Buffer) => {
    if (body.add(chunk) || refused) return;
    refused = true;
    tooLarge();
  });
  request.on('end', () => {
    if (!refused) done(body.whole());
  });
}

function answer(response: ServerResponse, reply: HttpReply): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, { ...reply.headers, 'content-length': body.length });
  response.end(body);
}
