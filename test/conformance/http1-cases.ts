/**
 * Requests as bytes, and what a server may make of them (RFC 9110, RFC 9112). `must`: 'serve' (200), 'refuse' (4xx or 5xx, or the end of the
 * connection, and never a word to the handler), 'wait' (nothing yet).
 */

export interface RequestCase {
  readonly name: string;
  readonly bytes: string;
  readonly must: 'serve' | 'refuse' | 'wait';
  /** What uWebSockets.js does otherwise; `old`: only the cores before 20.60 or so. */
  readonly uws?: {
    readonly does: 'serve' | 'wait' | 'refuse';
    readonly old?: true;
    readonly why: string;
  };
}

const get = (rest = '', target = '/') => `GET ${target} HTTP/1.1\r\n${rest}\r\n`;
const post = (headers: string, body = '') => `POST / HTTP/1.1\r\nHost: x\r\n${headers}\r\n${body}`;
const host = 'Host: x\r\n';

const ends = {
  does: 'serve',
  why: 'the core is lenient about chunks; the connection ends with the answer, so that nothing hides behind it',
} as const;

const hangs = {
  does: 'wait',
  why: 'the core waits for the rest that never comes, until its timeout ends the connection',
} as const;

/** Cut short anywhere: the server waits (and its timeout ends it, patience.test.ts). */
const pieces: RequestCase[] = [
  'G',
  'GET',
  'GET ',
  'GET /',
  'GET / ',
  'GET / HTTP/1.1',
  'GET / HTTP/1.1\r',
  'GET / HTTP/1.1\r\n',
  'GET / HTTP/1.1\r\nHost',
  'GET / HTTP/1.1\r\nHost:',
  'GET / HTTP/1.1\r\nHost: x',
  'GET / HTTP/1.1\r\nHost: x\r\n',
  'GET / HTTP/1.1\r\nHost: x\r\n\r',
  post('Content-Length: 5\r\n'),
  post('Content-Length: 5\r\n', 'hell'),
].map((bytes) => ({ name: `waits after ${JSON.stringify(bytes)}`, bytes, must: 'wait' }));

const valid: RequestCase[] = [
  { name: 'a plain request', bytes: get(host), must: 'serve' },
  { name: 'Host in lower case', bytes: get('host: x\r\n'), must: 'serve' },
  { name: 'no blank after the colon', bytes: get('Host:x\r\n'), must: 'serve' },
  { name: 'blanks and a tab around a value', bytes: get('Host: \t x \t \r\n'), must: 'serve' },
  { name: 'an empty value', bytes: get(`${host}X-Empty:\r\n`), must: 'serve' },
  {
    name: 'every token character in a name',
    bytes: get(`${host}!#$%&'*+-.^_\`|~09azAZ: 1\r\n`),
    must: 'serve',
    uws: { does: 'wait', old: true, why: 'the old core knows fewer characters' },
  },
  { name: 'a query', bytes: get(host, '/?a=b&c=%20'), must: 'serve' },
  { name: 'a body', bytes: post('Content-Length: 5\r\n', 'hello'), must: 'serve' },
  { name: 'an empty body', bytes: post('Content-Length: 0\r\n'), must: 'serve' },
  {
    name: 'a chunked body',
    bytes: post('Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'),
    must: 'serve',
  },
  {
    name: 'a chunked body with an extension',
    bytes: post('Transfer-Encoding: chunked\r\n', '5;a=b\r\nhello\r\n0\r\n\r\n'),
    must: 'serve',
    uws: { does: 'wait', why: 'the core does not read chunk extensions' },
  },
  {
    name: 'OPTIONS *',
    bytes: `OPTIONS * HTTP/1.1\r\n${host}\r\n`,
    must: 'serve',
    uws: { does: 'wait', why: 'the core knows targets that begin with a slash' },
  },
  { name: 'a method of its own', bytes: `PATCH / HTTP/1.1\r\n${host}\r\n`, must: 'serve' },
];

const invalid: RequestCase[] = [
  {
    name: 'a coding other than chunks',
    bytes: post('Transfer-Encoding: gzip\r\n', '0\r\n\r\n'),
    must: 'refuse',
  },
  { name: 'no Host', bytes: get(), must: 'refuse', uws: hangs },
  { name: 'two Hosts', bytes: get('Host: x\r\nHost: y\r\n'), must: 'refuse' },
  {
    name: 'a blank before the colon',
    bytes: get(`${host}X-A : 1\r\n`),
    must: 'refuse',
    uws: hangs,
  },
  { name: 'a blank in a name', bytes: get(`${host}X A: 1\r\n`), must: 'refuse', uws: hangs },
  { name: 'a header without a colon', bytes: get(`${host}X-A\r\n`), must: 'refuse', uws: hangs },
  { name: 'a folded header', bytes: get(`${host}X-A: 1\r\n 2\r\n`), must: 'refuse', uws: hangs },
  { name: 'a blank before the first header', bytes: get(` ${host}`), must: 'refuse', uws: hangs },
  { name: 'NUL in a value', bytes: get(`${host}X-A: a\0b\r\n`), must: 'refuse', uws: hangs },
  { name: 'a bare CR in a value', bytes: get(`${host}X-A: a\rb\r\n`), must: 'refuse', uws: hangs },
  {
    name: 'a control character in a name',
    bytes: get(`${host}X-\x01: a\r\n`),
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'a tab in the start line',
    bytes: `GET\t/\tHTTP/1.1\r\n${host}\r\n`,
    must: 'refuse',
    uws: hangs,
  },
  { name: 'no target', bytes: `GET HTTP/1.1\r\n${host}\r\n`, must: 'refuse', uws: hangs },
  { name: 'no version', bytes: `GET /\r\n${host}\r\n`, must: 'refuse', uws: hangs },
  { name: 'HTTP/1.2', bytes: `GET / HTTP/1.2\r\n${host}\r\n`, must: 'refuse', uws: hangs },
  { name: 'HTTP/9.9', bytes: `GET / HTTP/9.9\r\n${host}\r\n`, must: 'refuse', uws: hangs },
  {
    name: 'the start of HTTP/2',
    bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'TLS',
    bytes: '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n',
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'an unknown method with bad characters',
    bytes: `G@T / HTTP/1.1\r\n${host}\r\n`,
    must: 'refuse',
    uws: hangs,
  },
  { name: 'a length that is negative', bytes: post('Content-Length: -1\r\n', 'x'), must: 'refuse' },
  {
    name: 'a length that is no number',
    bytes: post('Content-Length: abc\r\n', 'x'),
    must: 'refuse',
  },
  { name: 'a length with a sign', bytes: post('Content-Length: +5\r\n', 'hello'), must: 'refuse' },
  { name: 'a hexadecimal length', bytes: post('Content-Length: 0x5\r\n', 'hello'), must: 'refuse' },
  {
    name: 'a length of 2^64 + 5',
    bytes: post('Content-Length: 18446744073709551621\r\n', 'hello'),
    must: 'refuse',
  },
  {
    name: 'a length above what is allowed',
    bytes: post('Content-Length: 1001\r\n'),
    must: 'refuse',
  },
  {
    name: 'a chunk of 2^64 bytes',
    bytes: post('Transfer-Encoding: chunked\r\n', '10000000000000000\r\nhello'),
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'a chunk length that is no number',
    bytes: post('Transfer-Encoding: chunked\r\n', 'xyz\r\nhello'),
    must: 'refuse',
    uws: hangs,
  },
];

/** A second request hides in the bytes, where two readers could disagree about the end of the first. It must never be answered. */
const hidden = 'GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n';
const smuggled: RequestCase[] = [
  {
    name: 'a length and chunks',
    bytes: post(
      `Content-Length: ${hidden.length + 5}\r\nTransfer-Encoding: chunked\r\n`,
      `0\r\n\r\n${hidden}`,
    ),
    must: 'refuse',
  },
  {
    name: 'chunks and a length',
    bytes: post(`Transfer-Encoding: chunked\r\nContent-Length: 5\r\n`, `0\r\n\r\n${hidden}`),
    must: 'refuse',
  },
  {
    name: 'two lengths',
    bytes: post(`Content-Length: ${hidden.length}\r\nContent-Length: 0\r\n`, hidden),
    must: 'refuse',
  },
  {
    name: 'two lengths, the other way round',
    bytes: post(`Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n`, hidden),
    must: 'refuse',
  },
  {
    name: 'a list of lengths',
    bytes: post(`Content-Length: 0, ${hidden.length}\r\n`, hidden),
    must: 'refuse',
  },
  {
    name: 'the same length twice',
    bytes: post(`Content-Length: ${hidden.length}\r\nContent-Length: ${hidden.length}\r\n`, hidden),
    must: 'refuse',
  },
  {
    name: 'a length with a blank in it',
    bytes: post(`Content-Length: 0 ${hidden.length}\r\n`, hidden),
    must: 'refuse',
  },
  {
    name: 'a length after a blank name',
    bytes: post(`Content-Length : ${hidden.length}\r\n`, hidden),
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'chunks after a blank name',
    bytes: post('Transfer-Encoding : chunked\r\n', `0\r\n\r\n${hidden}`),
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'chunks in a folded header',
    bytes: post('Transfer-Encoding:\r\n chunked\r\n', `0\r\n\r\n${hidden}`),
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'chunks after a tab',
    bytes: post('Transfer-Encoding\t: chunked\r\n', `0\r\n\r\n${hidden}`),
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'a coding that is not chunked',
    bytes: post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${hidden}`),
    must: 'refuse',
  },
  {
    name: 'chunked, then identity',
    bytes: post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${hidden}`),
    must: 'refuse',
  },
  {
    name: 'two codings',
    bytes: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n', `0\r\n\r\n${hidden}`),
    must: 'refuse',
  },
  {
    name: 'bare LF between headers',
    bytes: `POST / HTTP/1.1\nHost: x\nContent-Length: ${hidden.length}\n\n${hidden}`,
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'bare LF inside a header',
    bytes: post(`X-A: b\nContent-Length: ${hidden.length}\r\n`, hidden),
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'bare CR before a header',
    bytes: post(`X-A: b\rTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${hidden}`),
    must: 'refuse',
    uws: hangs,
  },
  {
    name: 'chunk lengths with bare LF',
    bytes: post('Transfer-Encoding: chunked\r\n', `0\n\n${hidden}`),
    must: 'refuse',
    uws: ends,
  },
  {
    name: 'a chunk with more than it says',
    bytes: post('Transfer-Encoding: chunked\r\n', `1\r\nab\r\n0\r\n\r\n${hidden}`),
    must: 'refuse',
    uws: ends,
  },
  {
    name: 'a handshake with a body',
    bytes: `GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    must: 'refuse',
  },
];

export const requestGroups: Readonly<Record<string, readonly RequestCase[]>> = {
  'requests that are not whole': pieces,
  'good requests': valid,
  'bad requests': invalid,
  'hidden requests': smuggled,
};
