/**
 * The first bytes of a body tell an event stream from one JSON value: some servers answer 200 with an error object, or with the
 * whole answer, although a stream was asked for. No line of an event stream that means anything begins with a bracket.
 */

const LOOK_BYTES_MAX = 64;
const BLANK = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);

export class Opening {
  kind: 'unknown' | 'events' | 'json' = 'unknown';
  #taken: number[] = [];

  /** What was looked at in earlier reads and belongs before the rest. */
  get taken(): Uint8Array {
    return Uint8Array.from(this.#taken);
  }

  /** Decides if it can. Returns how many bytes of this read were looked at and are kept in `taken`. */
  look(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && BLANK.has(bytes[at]) && this.#taken.length + at < LOOK_BYTES_MAX)
      at++;
    if (at < bytes.length) {
      const json = bytes[at] === 0x7b || bytes[at] === 0x5b;
      this.kind = json ? 'json' : 'events';
      return json ? at : 0;
    }
    this.#taken.push(...bytes);
    return at;
  }
}

/** The bytes of a body that is read whole, at most `bytesMax`. */
export class JsonBody {
  readonly #bytesMax: number;
  #pieces: Uint8Array[] = [];
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Keeps a copy; false when the body is too large. */
  add(bytes: Uint8Array): boolean {
    this.#length += bytes.length;
    if (this.#length > this.#bytesMax) return false;
    // Not `bytes.slice`: of a Buffer that is a view.
    this.#pieces.push(new Uint8Array(bytes));
    return true;
  }

  take(): Uint8Array {
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [];
    return whole;
  }
}
