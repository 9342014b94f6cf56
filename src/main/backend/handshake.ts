/**
 * What both backends ask of a request before anybody else sees it (RFC 6455 section 4.2.1). Neither server asks all of it: the old core of
 * uWebSockets.js takes any version, two Host headers and two lengths; `ws` takes two Host headers.
 */
import { MillraceError } from '../../errors.ts';
import type { RequestHead } from './backend.ts';

/** All header lines of a request, as node:http bounds them. The old core of uWebSockets.js has no bound when they come in one packet. */
export const HEAD_BYTES_MAX = 16 * 1024;

/** `'http'`: a plain request. `'upgrade'`: a handshake that holds. Otherwise why it is refused. */
export type RequestKind = 'http' | 'upgrade' | MillraceError;

export function requestKind(head: RequestHead, headers: HeaderList): RequestKind {
  if (headers.malformed) return invalid('a header has no name');
  if (headers.bytes > HEAD_BYTES_MAX) return invalid('the headers are too large');
  if (head.hosts !== 1) return invalid('Host must be sent once');
  if (!/^[A-Z-]{1,24}$/.test(head.method)) return invalid('the method is not one');
  if (!hasToken(head.header('upgrade'), 'websocket')) return ambiguousLength(head) ?? 'http';
  if (head.method !== 'GET') return invalid('the method must be GET');
  if (!hasToken(head.header('connection'), 'upgrade')) return invalid('Connection must be Upgrade');
  if (hasBody(head)) return invalid('it must have no body');
  if (head.header('sec-websocket-version') !== '13')
    return new MillraceError('MILLRACE_VERSION_UNSUPPORTED', {});
  if (!key.test(head.header('sec-websocket-key') ?? ''))
    return invalid('Sec-WebSocket-Key must be 16 bytes in base64');
  if (!distinctTokens(head.header('sec-websocket-protocol')))
    return invalid('Sec-WebSocket-Protocol must list distinct names');
  return 'upgrade';
}

function distinctTokens(list: string | undefined): boolean {
  if (list === undefined) return true;
  const names = list.split(',').map((name) => name.trim());
  return names.every((name) => token.test(name)) && new Set(names).size === names.length;
}

/** RFC 9110 section 5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** 16 bytes in base64: 21 free characters, one that carries two bits, two of padding. */
const key = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

function hasBody(head: RequestHead): boolean {
  return (
    (head.header('content-length') ?? '0') !== '0' || head.header('transfer-encoding') !== undefined
  );
}

/** Two lengths, a length and chunks, or a coding that is not chunks: proxies disagree about where such a request ends (RFC 9112 section 6.3). */
function ambiguousLength(head: RequestHead): MillraceError | undefined {
  const coding = head.header('transfer-encoding');
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return invalid('Transfer-Encoding must be chunked');
  const length = head.header('content-length');
  if (length === undefined) return undefined;
  if (!/^\d{1,15}$/.test(length)) return invalid('Content-Length must be one number');
  if (coding !== undefined)
    return invalid('Content-Length and Transfer-Encoding exclude one another');
  return undefined;
}

function hasToken(list: string | undefined, token: string): boolean {
  if (list === undefined) return false;
  return list.split(',').some((item) => item.trim().toLowerCase() === token);
}

function invalid(reason: string): MillraceError {
  return new MillraceError('MILLRACE_HANDSHAKE_INVALID', { reason });
}

/** Collects headers as sent; a repeated one becomes a comma list, so that a check of its value fails or sees all of it. */
export class HeaderList {
  readonly #values = new Map<string, string>();
  hosts = 0;
  bytes = 0;
  malformed = false;

  add(name: string, value: string): void {
    const lower = name.toLowerCase();
    if (lower === 'host') this.hosts++;
    if (lower === '') this.malformed = true;
    this.bytes += name.length + value.length + 4;
    const before = this.#values.get(lower);
    this.#values.set(lower, before === undefined ? value : `${before}, ${value}`);
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  all(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#values);
  }
}

/** An address as both backends name it: IPv4-mapped as IPv4, IPv6 in its short form. */
export function addressText(text: string): string {
  if (!text.includes(':')) return text;
  const mapped = /^(?:::|(?:0{1,4}:){5})ffff:(.+)$/i.exec(text);
  if (mapped) return mappedText(mapped[1]);
  try {
    return new URL(`http://[${text}]/`).hostname.slice(1, -1);
  } catch {
    return text; // with a zone (fe80::1%eth0): as it came
  }
}

function mappedText(tail: string): string {
  if (tail.includes('.')) return tail;
  const [high = 0, low = 0] = tail.split(':').map((group) => Number.parseInt(group, 16));
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
