/** What a server does with frames, good and bad, as data. Grouped like the Autobahn test suite; sections are those of RFC 6455. */
import { closePayload, type FrameParts, frame, opcode } from '../support/raw-client.ts';

export interface FrameCase {
  readonly name: string;
  readonly send: readonly Uint8Array[];
  /** Payloads echoed, in order. */
  readonly echoes?: readonly (Uint8Array | string)[];
  readonly pongs?: readonly (Uint8Array | string)[];
  /**
   * What comes last: still open, silent (nothing at all for a while), a close frame that answers the client's with this code (1005: an empty one), or the end of a session that broke a
   * rule, with the close code that says which.
   */
  readonly end: 'open' | 'silent' | { readonly answered: number } | { readonly broken: number };
  /** What uWebSockets.js does otherwise, and why that is borne. */
  readonly uws?: {
    readonly end: FrameCase['end'];
    readonly echoes?: readonly string[];
    readonly why: string;
  };
  /** Both servers take what the RFC forbids; it harms nobody. */
  readonly lenient?: string;
}

const { text, binary, continuation, ping, pong, close } = opcode;
const f = (code: number, payload: Uint8Array | string = '', rest: Partial<FrameParts> = {}) =>
  frame({ opcode: code, payload, ...rest });
const part = { fin: false };
const broken = (code: number) => ({ broken: code });
const sized = (length: number) => Buffer.alloc(length, 'BAsd7&jh23');
/** Cut into pieces that arrive one after another. */
const chop = (bytes: Uint8Array, size: number) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );

// 1: framing. All three forms of the length (section 5.2).

const framing: FrameCase[] = [text, binary].flatMap((code) => [
  ...[0, 1, 125, 126, 127, 128, 65_535, 65_536].map(
    (length): FrameCase => ({
      name: `${code === text ? 'text' : 'binary'} of ${length} bytes`,
      send: [f(code, sized(length))],
      echoes: [sized(length)],
      end: 'open',
    }),
  ),
  ...[1, 997, 65_535].map((size): FrameCase => {
    const length = size === 1 ? 300 : 65_536;
    return {
      name: `${code === text ? 'text' : 'binary'} of ${length} bytes, in pieces of ${size}`,
      send: chop(f(code, sized(length)), size),
      echoes: [sized(length)],
      end: 'open',
    };
  }),
]);

// 2: ping and pong (sections 5.5.2, 5.5.3).

const controlled: FrameCase[] = [
  { name: 'an empty ping', send: [f(ping)], pongs: [''], end: 'open' },
  { name: 'a ping with text', send: [f(ping, 'Hello')], pongs: ['Hello'], end: 'open' },
  {
    name: 'a ping with bytes',
    send: [f(ping, Uint8Array.of(0, 255, 254, 253))],
    pongs: [Uint8Array.of(0, 255, 254, 253)],
    end: 'open',
  },
  { name: 'a ping of 125 bytes', send: [f(ping, sized(125))], pongs: [sized(125)], end: 'open' },
  { name: 'a ping of 126 bytes', send: [f(ping, sized(126))], end: broken(1002) },
  {
    name: 'a ping of 125 bytes, byte by byte',
    send: chop(f(ping, sized(125)), 1),
    pongs: [sized(125)],
    end: 'open',
  },
  { name: 'an unasked pong', send: [f(pong)], end: 'open' },
  { name: 'an unasked pong with text', send: [f(pong, 'x')], end: 'open' },
  { name: 'a pong, then a ping', send: [f(pong, 'x'), f(ping, 'y')], pongs: ['y'], end: 'open' },
  {
    name: 'ten pings',
    send: [Buffer.concat(Array.from({ length: 10 }, (_, i) => f(ping, `p${i}`)))],
    pongs: Array.from({ length: 10 }, (_, i) => `p${i}`),
    end: 'open',
  },
  {
    name: 'ten pings, byte by byte',
    send: chop(Buffer.concat(Array.from({ length: 10 }, (_, i) => f(ping, `p${i}`))), 1),
    pongs: Array.from({ length: 10 }, (_, i) => `p${i}`),
    end: 'open',
  },
];

// 3: reserved bits, without an extension that gives them a meaning (section 5.2).

const reserved: FrameCase[] = [1, 2, 3, 4, 5, 6, 7].flatMap((bits): FrameCase[] => [
  {
    name: `text with reserved bits ${bits}`,
    send: [f(text, 'x', { reserved: bits })],
    end: broken(1002),
  },
  {
    name: `reserved bits ${bits} after a good message`,
    send: [f(text, 'good'), f(binary, 'bad', { reserved: bits })],
    echoes: ['good'],
    end: broken(1002),
  },
  {
    name: `a ping with reserved bits ${bits}`,
    send: [f(ping, '', { reserved: bits })],
    end: broken(1002),
  },
  {
    name: `reserved bits ${bits} on a continuation`,
    send: [f(text, 'a', part), f(continuation, 'b', { reserved: bits })],
    end: broken(1002),
  },
]);

// 4: reserved opcodes (section 5.2).

const opcodes: FrameCase[] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((code): FrameCase[] => [
  { name: `opcode ${code}`, send: [f(code)], end: broken(1002) },
  {
    name: `opcode ${code} with a payload, after a good message`,
    send: [f(text, 'good'), f(code, 'bad'), f(ping, 'unheard')],
    echoes: ['good'],
    end: broken(1002),
  },
]);

// 5: fragments (section 5.4).

const fragments: FrameCase[] = [
  {
    name: 'a ping in fragments',
    send: [f(ping, 'a', part), f(continuation, 'b')],
    end: broken(1002),
  },
  {
    name: 'a pong in fragments',
    send: [f(pong, 'a', part), f(continuation, 'b')],
    end: broken(1002),
  },
  { name: 'a close in fragments', send: [f(close, '', part)], end: broken(1002) },
  {
    name: 'text in two',
    send: [f(text, 'a', part), f(continuation, 'b')],
    echoes: ['ab'],
    end: 'open',
  },
  {
    name: 'text in two, byte by byte',
    send: chop(Buffer.concat([f(text, 'a', part), f(continuation, 'b')]), 1),
    echoes: ['ab'],
    end: 'open',
  },
  {
    name: 'a ping between fragments',
    send: [f(text, 'a', part), f(ping, 'p'), f(continuation, 'b')],
    echoes: ['ab'],
    pongs: ['p'],
    end: 'open',
  },
  {
    name: 'a ping between fragments, byte by byte',
    send: chop(Buffer.concat([f(text, 'a', part), f(ping, 'p'), f(continuation, 'b')]), 1),
    echoes: ['ab'],
    pongs: ['p'],
    end: 'open',
  },
  {
    name: 'pings between five fragments',
    send: [
      f(binary, '1', part),
      f(continuation, '2', part),
      f(ping, 'p'),
      f(continuation, '3', part),
      f(continuation, '4', part),
      f(ping, 'q'),
      f(continuation, '5'),
    ],
    echoes: ['12345'],
    pongs: ['p', 'q'],
    end: 'open',
  },
  {
    name: 'empty fragments',
    send: [f(text, '', part), f(continuation, '', part), f(continuation, '')],
    echoes: [''],
    end: 'open',
  },
  {
    name: 'an empty first and last fragment',
    send: [f(text, '', part), f(continuation, 'x', part), f(continuation, '')],
    echoes: ['x'],
    end: 'open',
  },
  { name: 'a last continuation of nothing', send: [f(continuation, 'x')], end: broken(1002) },
  { name: 'a continuation of nothing', send: [f(continuation, 'x', part)], end: broken(1002) },
  {
    name: 'a continuation after a whole message',
    send: [f(text, 'a'), f(continuation, 'b')],
    echoes: ['a'],
    end: broken(1002),
  },
  {
    name: 'text inside a fragmented text',
    send: [f(text, 'a', part), f(text, 'b')],
    end: broken(1002),
  },
  {
    name: 'binary inside a fragmented text',
    send: [f(text, 'a', part), f(binary, 'b', part), f(continuation, 'c')],
    end: broken(1002),
    uws: {
      end: 'open',
      echoes: ['abc'],
      why: 'the core takes all of it for one binary message: within the bound, and nothing unchecked passes for text',
    },
  },
  {
    name: 'a close between fragments',
    send: [f(text, 'a', part), f(close, closePayload(1000)), f(continuation, 'b')],
    end: { answered: 1000 },
  },
];

// 6: text is UTF-8 (section 8.1), whole, cut between fragments and byte by byte.

const wellFormed = {
  'two, three and four bytes': Buffer.from('é€😀'),
  'the first of each length': Buffer.from('\u0000\u0080\u0800\u{10000}'),
  'the last of each length': Buffer.from('\u007f\u07ff\uffff\u{10ffff}'),
  'around the surrogates': Buffer.from('\ud7ff\ue000\ufffd'),
  noncharacters: Buffer.from('\ufffe\u{1fffe}\u{10fffe}'),
  Greek: Buffer.from('κόσμε'),
};
const illFormed = {
  'a lone continuation byte': [0x80],
  'the last continuation byte': [0xbf],
  'two continuation bytes': [0x61, 0x80, 0xbf],
  'a start of two without its end': [0xc3, 0x20],
  'a start of three without its end': [0xe2, 0x82, 0x20],
  'a start of four without its end': [0xf0, 0x9f, 0x98, 0x20],
  'text cut at its end': [0x61, 0xe2, 0x82],
  'byte 0xFE': [0xfe],
  'byte 0xFF': [0xff],
  'a slash in two bytes': [0xc0, 0xaf],
  'a slash in three bytes': [0xe0, 0x80, 0xaf],
  'a slash in four bytes': [0xf0, 0x80, 0x80, 0xaf],
  'zero in two bytes': [0xc0, 0x80],
  'the longest of two bytes too long': [0xc1, 0xbf],
  'the longest of three bytes too long': [0xe0, 0x9f, 0xbf],
  'a high surrogate': [0xed, 0xa0, 0x80],
  'a low surrogate': [0xed, 0xbf, 0xbf],
  'a pair of surrogates': [0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80],
  'above U+10FFFF': [0xf4, 0x90, 0x80, 0x80],
  'five bytes': [0xf8, 0x88, 0x80, 0x80, 0x80],
  'six bytes': [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80],
  'Greek, then a surrogate': [0xce, 0xba, 0xed, 0xa0, 0x80, 0x65, 0x64],
};

/** Whole, in two fragments cut at every byte, and one fragment for every byte. */
function spread(name: string, payload: Uint8Array, end: FrameCase['end']): FrameCase[] {
  const echoes = end === 'open' ? [payload] : [];
  const cuts = Array.from({ length: payload.length - 1 }, (_, i) => i + 1);
  return [
    { name, send: [f(text, payload)], echoes, end },
    ...cuts.map((at) => ({
      name: `${name}, cut at ${at}`,
      send: [f(text, payload.subarray(0, at), part), f(continuation, payload.subarray(at))],
      echoes,
      end,
    })),
    {
      name: `${name}, a fragment for every byte`,
      send: [
        f(text, '', part),
        ...[...payload].map((byte) => f(continuation, Uint8Array.of(byte), part)),
        f(continuation),
      ],
      echoes,
      end,
    },
  ];
}

const utf8: FrameCase[] = [
  ...Object.entries(wellFormed).flatMap(([name, bytes]) => spread(name, bytes, 'open')),
  ...Object.entries(illFormed).flatMap(([name, bytes]) =>
    spread(name, Uint8Array.from(bytes), broken(1007)),
  ),
  {
    name: 'binary that is no text',
    send: [f(binary, Uint8Array.of(0xff))],
    echoes: [Uint8Array.of(0xff)],
    end: 'open',
  },
];

// 7: closing (sections 5.5.1, 7.4).

const validCodes = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
];
const invalidCodes = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
const emptyAnswer = {
  end: { answered: 1005 },
  why: 'the core answers a close frame it finds wrong with an empty one',
} as const;

const closing: FrameCase[] = [
  ...validCodes.map(
    (code): FrameCase => ({
      name: `close ${code}`,
      send: [f(close, closePayload(code, 'why'))],
      end: { answered: code },
      ...(code > 1011 && code < 4000 ? { uws: emptyAnswer } : {}),
    }),
  ),
  ...invalidCodes.map(
    (code): FrameCase => ({
      name: `close ${code}`,
      send: [f(close, closePayload(code))],
      end: broken(1002),
      uws: emptyAnswer,
    }),
  ),
  { name: 'an empty close', send: [f(close)], end: { answered: 1005 } },
  { name: 'a close of one byte', send: [f(close, 'x')], end: broken(1002), uws: emptyAnswer },
  {
    name: 'a reason of 123 bytes',
    send: [f(close, closePayload(1000, 'x'.repeat(123)))],
    end: { answered: 1000 },
  },
  {
    name: 'a reason of 124 bytes',
    send: [f(close, closePayload(1000, 'x'.repeat(124)))],
    end: broken(1002),
  },
  {
    name: 'a reason that is not UTF-8',
    send: [f(close, closePayload(1000, Uint8Array.of(0xc3, 0x28)))],
    end: broken(1007),
    uws: emptyAnswer,
  },
  {
    name: 'a message and a ping after close',
    send: [Buffer.concat([f(close, closePayload(1000)), f(text, 'late'), f(ping, 'late')])],
    end: { answered: 1000 },
  },
  {
    name: 'two closes',
    send: [Buffer.concat([f(close, closePayload(1000)), f(close, closePayload(1001))])],
    end: { answered: 1000 },
  },
  {
    name: 'a close, byte by byte',
    send: chop(f(close, closePayload(1000, 'why')), 1),
    end: { answered: 1000 },
  },
];

// Masks and lengths, which the Autobahn test suite leaves out (sections 5.1, 5.2).

const masksAndLengths: FrameCase[] = [
  {
    name: 'an unmasked frame',
    send: [f(binary, '0123456789', { masked: false })],
    end: broken(1002),
    uws: {
      end: 'silent',
      why: 'the core does not look at the mask bit: the next four bytes are its key. A peer garbles its own stream only',
    },
  },
  {
    name: 'five bytes with a 16-bit length',
    send: [f(text, 'Hello', { lengthBits: 16 })],
    echoes: ['Hello'],
    end: 'open',
    lenient: 'the shortest form is a rule for senders',
  },
  {
    name: 'five bytes with a 64-bit length',
    send: [f(text, 'Hello', { lengthBits: 64 })],
    echoes: ['Hello'],
    end: 'open',
    lenient: 'the shortest form is a rule for senders',
  },
  {
    name: '200 bytes with a 64-bit length',
    send: [f(binary, sized(200), { lengthBits: 64 })],
    echoes: [sized(200)],
    end: 'open',
    lenient: 'the shortest form is a rule for senders',
  },
  {
    name: 'a ping with a 16-bit length',
    send: [f(ping, 'x', { lengthBits: 16 })],
    end: broken(1002),
  },
  {
    name: 'a ping with a 64-bit length',
    send: [f(ping, 'x', { lengthBits: 64 })],
    end: broken(1002),
  },
  { name: 'a length of 2^63', send: [f(binary, '', { declared: 2n ** 63n })], end: broken(1009) },
  {
    name: 'a length of 2^64 - 1',
    send: [f(binary, '', { declared: 2n ** 64n - 1n })],
    end: broken(1009),
  },
  { name: 'a length of 2^53', send: [f(binary, '', { declared: 2n ** 53n })], end: broken(1009) },
  { name: 'a length of 2^32', send: [f(binary, '', { declared: 2n ** 32n })], end: broken(1009) },
  { name: 'a length of 2^31', send: [f(text, '', { declared: 2n ** 31n })], end: broken(1009) },
];

// 10: a message in many frames.

const many: FrameCase[] = [
  {
    name: '65,536 bytes in frames of 1,300',
    send: chop(sized(65_536), 1_300).map((piece, i, all) =>
      f(i === 0 ? text : continuation, piece, { fin: i === all.length - 1 }),
    ),
    echoes: [sized(65_536)],
    end: 'open',
  },
];

export const groups: Readonly<Record<string, readonly FrameCase[]>> = {
  framing: framing,
  'ping and pong': controlled,
  'reserved bits': reserved,
  'reserved opcodes': opcodes,
  fragments: fragments,
  'UTF-8': utf8,
  closing: closing,
  'masks and lengths': masksAndLengths,
  'many frames': many,
};
