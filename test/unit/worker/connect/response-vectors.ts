/**
 * Responses of upstreams, good and bad: what HTTP/1.1 allows in its odd corners, what smuggling tries (lengths that contradict each other, codings
 * that are none, folded lines, bare line feeds), and what is broken. Data only; who reads them alike says response-oracle.test.ts.
 */

export interface Vector {
  readonly name: string;
  /** Latin-1. */
  readonly text: string;
  /** Ours refuses it and undici does not: why. */
  readonly stricter?: string;
  /** Ours takes it and undici does not: what allows it. */
  readonly laxer?: string;
}

const unknownCoding =
  'undici takes a coding that it does not know for none, and its bytes for the body';

const ok = 'HTTP/1.1 200 OK\r\n';
const te = 'Transfer-Encoding: chunked\r\n';
const five = 'Content-Length: 5\r\n';
const chunks = '5\r\nhello\r\n0\r\n\r\n';
const chunked = `${ok}${te}\r\n`;

const lengths = ['+5', '-5', '5e0', '0x5', '5 5', '5,5', '5, 6', '', ' ', '5.', 'five', '5\t', '05']
  .concat(['18446744073709551616', '18446744073709551621', '5\x0b', '5;', '\xb2'])
  .map(
    (value): Vector => ({
      name: `Content-Length: ${JSON.stringify(value)}`,
      text: `${ok}Content-Length: ${value}\r\n\r\nhello`,
      ...(value === '5\t'
        ? { laxer: 'RFC 9110 section 5.5: whitespace, a tab too, may follow' }
        : {}),
    }),
  );

const codings: readonly (readonly [value: string, stricter?: string])[] = [
  ['chunked'],
  ['CHUNKED'],
  ['\tchunked '],
  ['xchunked', unknownCoding],
  ['chunked;q=1', unknownCoding],
  ['chunked, identity', unknownCoding],
  ['identity', unknownCoding],
  ['\x0bchunked'],
  ['chunkedx', unknownCoding],
  ['chunke', unknownCoding],
  ['chunked,', unknownCoding],
  ['"chunked"', unknownCoding],
  ['', unknownCoding],
  ['gzip, chunked', 'nobody here would undo the gzip'],
  ['chunked, chunked', 'chunked twice is chunked once, or not'],
];

/** Lines in the place of a chunk's size line. */
const sizes = ['', 'g', '0x5', '+5', '-5', ' 5', '5 ', '5\t', '5;', '5;a', '5;a=b', '5;a="b"']
  .concat(['05', '0000000000000000005', '8000000000000000', '10000000000000005', '5 5', '5,'])
  .concat(['5;a="b;c"', '5;\x00', '5;\x7f', '5;a=\xff', '5\r', '5\n', '5;a\n5', '5;a\rb']);

export const vectors: readonly Vector[] = [
  { name: 'a length', text: `${ok}${five}\r\nhello` },
  { name: 'a length and one byte more', text: `${ok}${five}\r\nhello!` },
  { name: 'a length, a byte less', text: `${ok}${five}\r\nhell` },
  { name: 'length 0', text: `${ok}Content-Length: 0\r\n\r\n` },
  { name: 'until the end', text: `${ok}\r\nall of it` },
  { name: 'nothing at all', text: '' },
  { name: 'a head without its end', text: `${ok}A: b\r\n` },
  { name: '204', text: 'HTTP/1.1 204 No Content\r\n\r\n' },
  {
    name: '304 with a length',
    text: `HTTP/1.1 304 Not Modified\r\n${five}\r\n`,
    laxer: 'RFC 9112 section 6.3: it has no body, whatever its length says',
  },
  { name: 'no reason', text: `HTTP/1.1 200\r\n${five}\r\nhello` },
  { name: 'an empty reason', text: `HTTP/1.1 200 \r\n${five}\r\nhello` },
  { name: 'a reason in Latin-1', text: `HTTP/1.1 200 \xe9t\xe9\r\n${five}\r\nhello` },
  { name: '103, then 200', text: `HTTP/1.1 103 Early\r\nLink: x\r\n\r\n${ok}${five}\r\nhello` },
  {
    name: '100, then 200',
    text: `HTTP/1.1 100 Continue\r\n\r\n${ok}${five}\r\nhello`,
    laxer: 'RFC 9110 section 15.2: a client takes informational responses it did not ask for',
  },
  { name: '101', text: 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n' },
  { name: 'HTTP/1.0 until the end', text: 'HTTP/1.0 200 OK\r\n\r\nhello' },
  { name: 'HTTP/1.0 with a length', text: `HTTP/1.0 200 OK\r\n${five}\r\nhello` },
  { name: 'close', text: `${ok}${five}Connection: close\r\n\r\nhello` },
  { name: 'headers that repeat', text: `${ok}A: 1\r\nB: x\r\na:  2 \r\n${five}\r\nhello` },
  { name: 'a header without a value', text: `${ok}A:\r\nB: \t \r\n${five}\r\nhello` },
  { name: 'a header in Latin-1', text: `${ok}A: caf\xe9\r\n${five}\r\nhello` },
  { name: 'a tab in a header', text: `${ok}A: b\tc\r\n${five}\r\nhello` },
  { name: 'every token character', text: `${ok}!#$%&'*+-.^_\`|~09AZaz: b\r\n${five}\r\nhello` },
  { name: 'chunks', text: `${chunked}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n` },
  { name: 'chunks with trailers', text: `${chunked}5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n` },
  { name: 'chunks and garbage behind', text: `${chunked}${chunks}garbage` },
  { name: 'chunks and another response', text: `${chunked}${chunks}${ok}${five}\r\nworld` },
  { name: 'a second response behind a length', text: `${ok}${five}\r\nhello${ok}${five}\r\nworld` },
  { name: 'chunks without their last', text: `${chunked}5\r\nhello\r\n` },
  { name: 'chunks without the empty line', text: `${chunked}5\r\nhello\r\n0\r\n` },
  { name: 'a chunk cut short', text: `${chunked}5\r\nhel` },
  { name: 'a chunk too long', text: `${chunked}5\r\nhello!\r\n0\r\n\r\n` },
  { name: 'a chunk that ends with LF', text: `${chunked}5\r\nhello\n0\r\n\r\n` },
  { name: 'a chunk that ends with CR', text: `${chunked}5\r\nhello\r0\r\n\r\n` },
  { name: 'length, then chunks', text: `${ok}${five}${te}\r\n${chunks}` },
  { name: 'chunks, then length', text: `${ok}${te}${five}\r\n${chunks}` },
  { name: 'the same length twice', text: `${ok}${five}${five}\r\nhello` },
  { name: 'two lengths', text: `${ok}${five}Content-Length: 6\r\n\r\nhello!` },
  {
    name: 'two codings',
    text: `${ok}${te}Transfer-Encoding: identity\r\n\r\n${chunks}`,
    stricter: unknownCoding,
  },
  {
    name: 'the coding twice',
    text: `${ok}${te}${te}\r\n${chunks}`,
    stricter: 'chunked twice is chunked once, or not',
  },
  {
    name: 'chunks over HTTP/1.0',
    text: `HTTP/1.0 200 OK\r\n${te}\r\n${chunks}`,
    stricter: 'RFC 9112 section 6.1: such framing is faulty',
  },
  { name: 'a folded line', text: `${ok}A: b\r\n c\r\n${five}\r\nhello` },
  { name: 'a folded line with a tab', text: `${ok}A: b\r\n\tc\r\n${five}\r\nhello` },
  { name: 'a folded coding', text: `${ok}Transfer-Encoding:\r\n chunked\r\n\r\n${chunks}` },
  { name: 'a folded first line', text: `${ok} A: b\r\n${five}\r\nhello` },
  { name: 'a space before the colon', text: `${ok}Content-Length : 5\r\n\r\nhello` },
  { name: 'a tab before the colon', text: `${ok}A\t: 5\r\n${five}\r\nhello` },
  { name: 'no colon', text: `${ok}nonsense\r\n${five}\r\nhello` },
  { name: 'no name', text: `${ok}: b\r\n${five}\r\nhello` },
  { name: 'a NUL in a value', text: `${ok}A: b\0c\r\n${five}\r\nhello` },
  { name: 'a NUL in a name', text: `${ok}A\0: b\r\n${five}\r\nhello` },
  { name: 'DEL in a value', text: `${ok}A: b\x7fc\r\n${five}\r\nhello` },
  { name: 'Latin-1 in a name', text: `${ok}\xc9: b\r\n${five}\r\nhello` },
  { name: 'LF for every line', text: 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello' },
  { name: 'LF for one header', text: `${ok}A: b\n${five}\r\nhello` },
  { name: 'LF for the empty line', text: `${ok}${five}\nhello` },
  { name: 'LF for the status line', text: `HTTP/1.1 200 OK\n${five}\r\nhello` },
  { name: 'CR alone in a value', text: `${ok}A: b\rc\r\n${five}\r\nhello` },
  { name: 'CR alone for a line', text: `${ok}A: b\r${five}\r\nhello` },
  { name: 'CR CR LF', text: `${ok}A: b\r\r\n${five}\r\nhello` },
  {
    name: 'an empty line in front',
    text: `\r\n${ok}${five}\r\nhello`,
    stricter: 'bytes that nobody asked for',
  },
  { name: 'two status lines', text: `${ok}${ok}${five}\r\nhello` },
  {
    name: 'HTTP/2.0',
    text: `HTTP/2.0 200 OK\r\n${five}\r\nhello`,
    stricter: 'not HTTP/1',
  },
  {
    name: 'HTTP/0.9',
    text: `HTTP/0.9 200 OK\r\n${five}\r\nhello`,
    stricter: 'not HTTP/1',
  },
  { name: 'HTTP/1.2', text: `HTTP/1.2 200 OK\r\n${five}\r\nhello` },
  { name: 'HTTP/1.10', text: `HTTP/1.10 200 OK\r\n${five}\r\nhello` },
  { name: 'http/1.1', text: `http/1.1 200 OK\r\n${five}\r\nhello` },
  { name: 'a status of two digits', text: `HTTP/1.1 20 OK\r\n${five}\r\nhello` },
  { name: 'a status of four digits', text: `HTTP/1.1 2000 OK\r\n${five}\r\nhello` },
  { name: 'status 099', text: `HTTP/1.1 099 OK\r\n${five}\r\nhello` },
  { name: 'a status of letters', text: `HTTP/1.1 abc OK\r\n${five}\r\nhello` },
  { name: 'two spaces before the status', text: `HTTP/1.1  200 OK\r\n${five}\r\nhello` },
  { name: 'a tab before the status', text: `HTTP/1.1\t200 OK\r\n${five}\r\nhello` },
  { name: 'a request', text: `GET / HTTP/1.1\r\nHost: x\r\n\r\n` },
  { name: 'a banner of SSH', text: 'SSH-2.0-OpenSSH_9.2\r\n\r\n' },
  { name: 'a record of TLS', text: '\x15\x03\x01\x00\x02\x02\x46' },
  { name: 'HTTP/2 frames', text: '\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64' },
  { name: 'a trailer without a colon', text: `${chunked}5\r\nhello\r\n0\r\ngarbage\r\n\r\n` },
  { name: 'a trailer that is folded', text: `${chunked}5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n` },
  { name: 'a length as a trailer', text: `${chunked}5\r\nhello\r\n0\r\n${five}\r\n` },
  { name: 'a coding as a trailer', text: `${chunked}5\r\nhello\r\n0\r\n${te}\r\n` },
  { name: 'a trailer with LF', text: `${chunked}5\r\nhello\r\n0\r\nA: b\n\r\n` },
  ...lengths,
  ...codings.map(
    ([value, stricter]): Vector => ({
      name: `Transfer-Encoding: ${JSON.stringify(value)}`,
      text: `${ok}Transfer-Encoding: ${value}\r\n\r\n${chunks}`,
      ...(stricter === undefined ? {} : { stricter }),
    }),
  ),
  ...sizes.map(
    (line): Vector => ({
      name: `a size line ${JSON.stringify(line)}`,
      text: `${chunked}${line}\r\nhello\r\n0\r\n\r\n`,
      ...(line.length > 16 && line.startsWith('0')
        ? { stricter: 'more digits than a size has' }
        : {}),
    }),
  ),
];
