/** HTTP/1.1 by hand, for tests that must see the bytes: what came, in which reads, and how the connection ended. */
import { createConnection } from 'node:net';

export interface RawExchange {
  /** As they were read: never fewer than the pieces the network kept apart. */
  readonly reads: readonly Buffer[];
  /** `end`: FIN. `reset`: RST. `open`: still open when `done` said enough. */
  readonly end: 'end' | 'reset' | 'open';
  /** Everything, bytes as characters. */
  readonly latin1: string;
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Body without its chunked framing; `complete` says that the framing's end was seen. */
  readonly body: Buffer;
  readonly complete: boolean;
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Called at every read: true ends the exchange, and the client leaves. */
  readonly done?: (latin1: string) => boolean;
  /** Leaves after this long without an end. Default 2,000. */
  readonly patienceMs?: number;
}

const BLANK = '\r\n\r\n';

/** One request on a connection of its own; leaves once the body is complete, unless the server asked to close. */
export function rawHttp(url: string, request: RawRequest = {}): Promise<RawExchange> {
  const { hostname, port, pathname } = new URL(url);
  const body = request.body ?? '';
  const head = [
    `${request.method ?? (body ? 'POST' : 'GET')} ${pathname} HTTP/1.1`,
    `host: ${hostname}:${port}`,
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
  ].join('\r\n');
  return new Promise((resolve) => {
    const socket = createConnection({ host: hostname, port: Number(port), noDelay: true });
    const reads: Buffer[] = [];
    let latin1 = '';
    const finish = (end: RawExchange['end']) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.destroy();
      resolve(exchange(reads, latin1, end));
    };
    const timer = setTimeout(() => finish('open'), request.patienceMs ?? 2000);
    socket.write(`${head}${BLANK}${body}`);
    socket.on('data', (read: Buffer) => {
      reads.push(read);
      latin1 += read.toString('latin1');
      const closing = /^connection: close\r$/im.test(latin1);
      if (request.done?.(latin1) || (!closing && exchange([], latin1, 'open').complete))
        finish('open');
    });
    socket.on('end', () => finish('end'));
    socket.on('error', () => finish('reset'));
  });
}

function exchange(reads: readonly Buffer[], latin1: string, end: RawExchange['end']): RawExchange {
  const split = latin1.indexOf(BLANK);
  const [line = '', ...lines] = latin1.slice(0, Math.max(split, 0)).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((one) => {
      const colon = one.indexOf(':');
      return [one.slice(0, colon).toLowerCase(), one.slice(colon + 1).trim()];
    }),
  );
  const rest = split < 0 ? '' : latin1.slice(split + BLANK.length);
  const { body, complete } = bodyOf(rest, headers, split >= 0);
  return { reads, end, latin1, status: Number(line.split(' ')[1] ?? 0), headers, body, complete };
}

function bodyOf(rest: string, headers: Record<string, string>, headed: boolean) {
  const length = headers['content-length'];
  if (headers['transfer-encoding'] !== 'chunked') {
    const complete = headed && length !== undefined && rest.length >= Number(length);
    return { body: Buffer.from(rest, 'latin1'), complete };
  }
  let at = 0;
  let body = '';
  for (;;) {
    const end = rest.indexOf('\r\n', at);
    const size = end < 0 ? Number.NaN : Number.parseInt(rest.slice(at, end), 16);
    if (Number.isNaN(size)) return { body: Buffer.from(body, 'latin1'), complete: false };
    body += rest.slice(end + 2, end + 2 + size);
    if (size === 0) {
      const complete = rest.startsWith('\r\n', end + 2);
      return { body: Buffer.from(body, 'latin1'), complete };
    }
    at = end + 2 + size + 2;
  }
}
