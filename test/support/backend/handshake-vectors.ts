/** Handshakes as they should not be, and some as they may be: the bytes, and what a server answers (RFC 6455 section 4.2). */
import { handshake, KEY } from '../raw-client.ts';

export interface HandshakeVector {
  readonly name: string;
  readonly request: (port: number) => string;
  /** HTTP status; 101 = upgraded; 0 = closed without an answer. */
  readonly status: number;
  /** What else uWebSockets.js may say where its core judges before it asks anybody. 101 only where it is harmless. */
  readonly uws?: readonly number[];
}

/** Some builds close or wait for their timeout without an answer, some let us judge, some answer themselves. */
const byCore = { uws: [0, 400, 431, 505] };

type Headers = Parameters<typeof handshake>[1];

const bad = (name: string, headers: Headers, status = 400): HandshakeVector => ({
  name,
  request: (port) => handshake(port, headers),
  status,
});
const started = (name: string, start: string, status: number): HandshakeVector => ({
  name,
  request: (port) => handshake(port, {}, start),
  status,
});

const key = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64');
const many = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-${i}`, String(i)]));

export const handshakeVectors: readonly HandshakeVector[] = [
  // As it may be.
  bad('a plain handshake', {}, 101),
  bad('Upgrade in capitals', { Upgrade: 'WebSocket' }, 101),
  bad('Upgrade among others', { Upgrade: 'h2c, websocket' }, 101),
  bad('Connection as Firefox sends it', { Connection: 'keep-alive, Upgrade' }, 101),
  bad('Connection in two headers', { Connection: ['keep-alive', 'upgrade'] }, 101),
  bad('Content-Length 0', { 'Content-Length': '0' }, 101),
  bad('an extension nobody knows', { 'Sec-WebSocket-Extensions': 'x-unknown; a=1' }, 101),
  bad(
    'compression, which is not taken',
    { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' },
    101,
  ),
  bad(
    'an extension named __proto__',
    { 'Sec-WebSocket-Extensions': '__proto__; constructor' },
    101,
  ),
  bad('a subprotocol, unanswered', { 'Sec-WebSocket-Protocol': 'chat' }, 101),
  started('a query', 'GET /ws?a=1&b=%20 HTTP/1.1', 101),
  bad('30 headers more', many(30), 101),
  // Version.
  bad('version 8', { 'Sec-WebSocket-Version': '8' }, 426),
  bad('version 12', { 'Sec-WebSocket-Version': '12' }, 426),
  bad('version 14', { 'Sec-WebSocket-Version': '14' }, 426),
  bad('version 013', { 'Sec-WebSocket-Version': '013' }, 426),
  bad('version twice', { 'Sec-WebSocket-Version': ['13', '13'] }, 426),
  bad('version 8, 13', { 'Sec-WebSocket-Version': '8, 13' }, 426),
  bad('no version', { 'Sec-WebSocket-Version': undefined }, 426),
  // Key.
  bad('no key', { 'Sec-WebSocket-Key': undefined }),
  bad('an empty key', { 'Sec-WebSocket-Key': '' }),
  bad('a key of 15 bytes', { 'Sec-WebSocket-Key': key(15) }),
  bad('a key of 17 bytes', { 'Sec-WebSocket-Key': key(17) }),
  bad('a key of 32 bytes', { 'Sec-WebSocket-Key': key(32) }),
  bad('24 characters that are not base64', { 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' }),
  bad('24 characters without padding', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZTEy' }),
  bad('bits in the padding', { 'Sec-WebSocket-Key': `${KEY.slice(0, 21)}B==` }),
  bad('two keys', { 'Sec-WebSocket-Key': [KEY, KEY] }),
  // Upgrade and Connection. Without `Upgrade: websocket` it is an ordinary request.
  bad('no Upgrade', { Upgrade: undefined }, 200),
  bad('Upgrade: foo', { Upgrade: 'foo' }, 200),
  bad('Upgrade: websockets', { Upgrade: 'websockets' }, 200),
  bad('no Connection', { Connection: undefined }),
  bad('Connection: close', { Connection: 'close' }),
  bad('Connection: upgraded', { Connection: 'upgraded' }),
  // Host.
  { ...bad('no Host', { Host: undefined }), ...byCore },
  { ...bad('two Hosts', { Host: ['127.0.0.1', 'evil.example'] }), ...byCore },
  { ...bad('the same Host twice', { Host: ['127.0.0.1', '127.0.0.1'] }), ...byCore },
  // Method, body, start line.
  started('POST', 'POST /ws HTTP/1.1', 400),
  started('PUT', 'PUT /ws HTTP/1.1', 400),
  started('HEAD', 'HEAD /ws HTTP/1.1', 400),
  {
    name: 'a body',
    request: (port) => `${handshake(port, { 'Content-Length': '5' })}hello`,
    status: 400,
  },
  {
    name: 'a chunked body',
    request: (port) => `${handshake(port, { 'Transfer-Encoding': 'chunked' })}0\r\n\r\n`,
    status: 400,
  },
  { ...started('HTTP/1.0', 'GET /ws HTTP/1.0', 400), ...byCore },
  { ...started('HTTP/2.0', 'GET /ws HTTP/2.0', 400), ...byCore },
  { ...started('no version in the start line', 'GET /ws', 400), ...byCore },
  { ...started('a lower-case method', 'get /ws HTTP/1.1', 400), ...byCore },
  // Subprotocols.
  bad('an empty subprotocol list', { 'Sec-WebSocket-Protocol': '' }),
  bad('an empty name in the list', { 'Sec-WebSocket-Protocol': 'a,,b' }),
  bad('a subprotocol with a blank', { 'Sec-WebSocket-Protocol': 'a b' }),
  bad('a subprotocol twice', { 'Sec-WebSocket-Protocol': ['a', 'b, a'] }),
  bad('a subprotocol named __proto__', { 'Sec-WebSocket-Protocol': '__proto__' }, 101),
  // Size.
  { ...bad('2,000 headers', many(2_000), 431), ...byCore },
  { ...bad('a header of 64 KiB', { 'X-Big': 'x'.repeat(65_536) }, 431), ...byCore },
  {
    ...bad('headers of 17 KiB', { 'X-Big': ['x'.repeat(9_000), 'x'.repeat(8_500)] }, 431),
    ...byCore,
  },
  {
    ...bad('a subprotocol list of 12 KiB', { 'Sec-WebSocket-Protocol': 'ab,'.repeat(4_000) }),
    ...byCore,
  },
  { ...bad('a blank in a header’s name', { 'X Bad': '1' }), ...byCore },
  // The core of uWebSockets.js takes it for the end of the headers; here it comes last and hides nothing.
  { ...bad('a header without a name', { '': '1' }), uws: [101] },
];
