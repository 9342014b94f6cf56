/**
 * Reads the responses of one HTTP/1.1 connection (RFC 9112), byte by byte where it frames and range by range where it does not.
 * Pure: bytes in, calls out. Strict: whatever two readers could understand differently is an error, because what comes after it
 * on the connection cannot be trusted.
 *
 *   head ─┬─▶ fixed ──────────────────────────────────────────▶ done
 *         ├─▶ size ─▶ chunk ─▶ chunk end ─▶ size … ─▶ trailer ─▶ done
 *         └─▶ until close ──────────────── (end of the stream) ─▶ done
 *
 * Body bytes of one push are handed over as one range: chunks are moved together inside the pushed bytes, so that everything
 * that came in one read leaves in one call, without a copy of its own.
 */

/** All of a head, and all of a trailer. */
const HEAD_BYTES_MAX = 64 * 1024;
const FIELDS_MAX = 1000;
/** A chunk's size line with its extensions. */
const SIZE_LINE_BYTES_MAX = 4 * 1024;

const CR = 13;
const LF = 10;
const SEMICOLON = 59;

/** The peer does not speak HTTP/1.1 as it should. The text never quotes what was sent. */
export class MalformedResponse extends Error {
  override readonly name = 'MalformedResponse';
}

export type Headers = ReadonlyMap<string, string>;

export interface ResponseEvents {
  /** Of the final response; names are lower case, repeated ones joined by a comma. */
  head(status: number, headers: Headers): void;
  /** Borrowed until return. */
  body(bytes: Uint8Array): void;
  /** The response is complete. `reusable`: the connection may carry another one. */
  done(reusable: boolean): void;
}

/** One for all: there is a reader for each socket. */
const NONE: Uint8Array = new Uint8Array(0);

type State = 'head' | 'fixed' | 'size' | 'chunk' | 'chunk end' | 'trailer' | 'until close' | 'done';

export class ResponseReader {
  readonly #events: ResponseEvents;
  #state: State = 'head';
  /** A head or trailer that came in pieces. */
  #text = NONE;
  /** Body bytes still to come of the body or chunk. */
  #rest = 0;
  #lineBytes = 0;
  #size = 0;
  #digits = 0;
  /** What stands behind a chunk's size, from its first semicolon on. */
  #extension = '';
  #sawCr = false;
  #persistent = true;
  /** The body bytes of the push, moved together. */
  #from = 0;
  #to = 0;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** The connection carries the next response. */
  reset(): void {
    this.#state = 'head';
    this.#persistent = true;
    this.#text = NONE;
  }

  /**
   * `bytes` are ours until return, and may be rearranged. @throws MalformedResponse; the connection must be closed then. What an event
   * handler throws passes through.
   */
  push(bytes: Uint8Array): void {
    this.#from = this.#to = 0;
    let at: number;
    try {
      at = this.#read(bytes);
    } finally {
      // What came before nonsense came all the same.
      if (this.#to > this.#from) this.#events.body(bytes.subarray(this.#from, this.#to));
    }
    // A handler may have reset us; then what follows is not ours to judge.
    if (this.#state === 'done') this.#events.done(this.#persistent && at === bytes.length);
  }

  /** Returns how far it read; the body bytes are gathered between `#from` and `#to`. */
  #read(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && this.#state !== 'done') {
      switch (this.#state) {
        case 'head':
          at = this.#head(bytes, at);
          break;
        case 'size':
          at = this.#sizeLine(bytes, at);
          break;
        case 'chunk end':
          at = this.#chunkEnd(bytes, at);
          break;
        case 'trailer':
          at = this.#trailer(bytes, at);
          break;
        case 'fixed':
        case 'chunk':
        case 'until close': {
          const end = this.#bodyEnd(bytes.length, at);
          if (this.#from === this.#to) this.#from = this.#to = at;
          else if (this.#to !== at) bytes.copyWithin(this.#to, at, end);
          this.#to += end - at;
          at = end;
        }
      }
    }
    return at;
  }

  /** The peer sends no more. @throws MalformedResponse when something is missing. */
  end(): void {
    if (this.#state === 'until close') {
      this.#state = 'done';
      this.#events.done(false);
    } else if (this.#state !== 'done') {
      throw new MalformedResponse('closed before the answer was complete');
    }
  }

  /** How far the body reaches in these bytes; moves on to the next state where it ends. */
  #bodyEnd(length: number, at: number): number {
    if (this.#state === 'until close') return length;
    const taken = Math.min(this.#rest, length - at);
    this.#rest -= taken;
    if (this.#rest === 0) this.#state = this.#state === 'fixed' ? 'done' : 'chunk end';
    return at + taken;
  }

  /** Collects until an empty line; `lines` get the text without it. */
  #collect(bytes: Uint8Array, at: number, lines: (text: string) => void): number {
    const before = this.#text.length;
    if (before === 0 && this.#state === 'trailer' && bytes[at] === CR && bytes[at + 1] === LF) {
      lines('');
      return at + 2;
    }
    const room = HEAD_BYTES_MAX - before;
    const piece = bytes.subarray(at, at + room);
    const text = new Uint8Array(before + piece.length);
    text.set(this.#text);
    text.set(piece, before);
    const end = endOfHead(text, Math.max(0, before - 3), this.#state === 'trailer');
    if (end < 0) {
      if (piece.length === room) throw new MalformedResponse('a head that does not end');
      this.#text = text;
      return at + piece.length;
    }
    this.#text = NONE;
    lines(Buffer.from(text.buffer, 0, end).toString('latin1'));
    return at + end - before;
  }

  #head(bytes: Uint8Array, at: number): number {
    return this.#collect(bytes, at, (text) => {
      const { status, minor, headers } = parseHead(text);
      if (status === 101) throw new MalformedResponse('an upgrade nobody asked for');
      // 1xx are not the response (RFC 9110 section 15.2).
      if (status < 200) return;
      this.#frame(status, minor, headers);
      this.#events.head(status, headers);
    });
  }

  /** How long the body is (RFC 9112 section 6.3). */
  #frame(status: number, minor: number, headers: Headers): void {
    const coding = headers.get('transfer-encoding');
    const length = headers.get('content-length');
    const connection = tokens(headers.get('connection'));
    this.#persistent =
      minor === 1 ? !connection.includes('close') : connection.includes('keep-alive');
    if (coding !== undefined) {
      if (length !== undefined) throw new MalformedResponse('two lengths for one body');
      if (minor === 0 || coding.toLowerCase() !== 'chunked') {
        throw new MalformedResponse('a transfer coding nobody asked for');
      }
      this.#sizeNext();
    } else if (status === 204 || status === 304) {
      this.#state = 'done';
    } else if (length !== undefined) {
      this.#rest = wholeNumber(length);
      this.#state = this.#rest === 0 ? 'done' : 'fixed';
    } else {
      this.#persistent = false;
      this.#state = 'until close';
    }
  }

  #sizeNext(): void {
    this.#state = 'size';
    this.#size = 0;
    this.#digits = 0;
    this.#lineBytes = 0;
    this.#extension = '';
    this.#sawCr = false;
  }

  #sizeLine(bytes: Uint8Array, start: number): number {
    for (let at = start; at < bytes.length; at++) {
      const byte = bytes[at];
      if (this.#sawCr) {
        if (byte !== LF || this.#digits === 0 || !this.#isExtension()) throw badChunk();
        this.#rest = this.#size;
        this.#sawCr = false;
        this.#state = this.#size === 0 ? 'trailer' : 'chunk';
        return at + 1;
      }
      if (++this.#lineBytes > SIZE_LINE_BYTES_MAX) throw badChunk();
      if (byte === CR) this.#sawCr = true;
      else if (byte === LF) throw badChunk();
      else if (this.#extension === '') this.#digit(byte);
      else this.#extension += String.fromCharCode(byte);
    }
    return bytes.length;
  }

  #isExtension(): boolean {
    return this.#extension === '' || extension.test(this.#extension);
  }

  #digit(byte: number): void {
    const value = hexValue(byte);
    if (value >= 0) {
      // 12 digits: far more than any body, far less than what a number holds exactly.
      if (++this.#digits > 12) throw badChunk();
      this.#size = this.#size * 16 + value;
    } else if (this.#digits > 0 && byte === SEMICOLON) this.#extension = ';';
    else throw badChunk();
  }

  #chunkEnd(bytes: Uint8Array, at: number): number {
    if (bytes[at] !== (this.#sawCr ? LF : CR)) throw badChunk();
    if (this.#sawCr) this.#sizeNext();
    else this.#sawCr = true;
    return at + 1;
  }

  #trailer(bytes: Uint8Array, at: number): number {
    return this.#collect(bytes, at, (text) => {
      // A length that comes too late to be one (RFC 9110 section 6.5.1).
      if (text !== '' && parseFields(text.split('\r\n'), 0).has('content-length')) {
        throw new MalformedResponse('two lengths for one body');
      }
      this.#state = 'done';
    });
  }
}

function badChunk(): MalformedResponse {
  return new MalformedResponse('a chunk that is none');
}

function hexValue(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Position after the empty line, or -1. An empty trailer is the empty line alone. */
function endOfHead(bytes: Uint8Array, from: number, trailer: boolean): number {
  if (trailer && bytes.length >= 2 && bytes[0] === CR && bytes[1] === LF) return 2;
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (at >= 3 && bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) {
      return at + 1;
    }
  }
  return -1;
}

const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const fieldLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;

function parseHead(text: string): { status: number; minor: number; headers: Headers } {
  const lines = text.split('\r\n');
  const match = statusLine.exec(lines[0]);
  if (!match) throw new MalformedResponse('no HTTP/1.1 status line');
  return { status: Number(match[2]), minor: Number(match[1]), headers: parseFields(lines, 1) };
}

/** RFC 9112 section 7.1.1, without the whitespace that only old senders write. */
const extension =
  /^(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t\x20-\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*$/;

/** The text ends with an empty line: its last two pieces are empty. */
function parseFields(lines: readonly string[], from: number): Headers {
  const headers = new Map<string, string>();
  if (lines.length > FIELDS_MAX) throw new MalformedResponse('a head that does not end');
  for (let at = from; at < lines.length - 2; at++) {
    // A line that is folded or has a space before its colon does not match either (RFC 9112 section 5).
    const match = fieldLine.exec(lines[at]);
    if (!match) throw new MalformedResponse('a header line that is none');
    const name = match[1].toLowerCase();
    const value = match[2].trimEnd();
    const before = headers.get(name);
    if (before !== undefined && name === 'content-length') {
      throw new MalformedResponse('two lengths for one body');
    }
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

function tokens(value: string | undefined): string[] {
  return value === undefined ? [] : value.split(',').map((token) => token.trim().toLowerCase());
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new MalformedResponse('a length that is no number');
  return Number(text);
}
