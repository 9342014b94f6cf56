/**
 * The sender of the fan-out bench: one tick of a millisecond, due moments in a typed array, one frame per token. All three
 * servers use this same code, so that they differ only in how the frame reaches the socket.
 */

/** One Responses delta, as the relay sends it; the token's 24 bytes are patched in place. */
const FRAME =
  '{"type":"response.output_text.delta","sequence_number":1000000,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"~000000:000000000000000 ","logprobs":[]}';
const TOKEN_AT = FRAME.indexOf('~');

/** CLOCK_MONOTONIC, as the load generator reads it. */
export function monotonicNs(): number {
  const [seconds, ns] = process.hrtime();
  return seconds * 1e9 + ns;
}

function putHex(bytes: Uint8Array, at: number, value: number, digits: number): void {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const digit = rest & 15;
    bytes[i] = digit < 10 ? 48 + digit : 87 + digit;
    rest >>>= 4;
  }
}

export class TokenWheel {
  readonly #intervalNs: number;
  readonly #due: Float64Array;
  readonly #sequence: Uint32Array;
  readonly #send: (stream: number, frame: Uint8Array) => boolean;
  readonly #frame = new TextEncoder().encode(FRAME);
  #used = 0;

  constructor(
    streamsMax: number,
    perSecond: number,
    send: (stream: number, frame: Uint8Array) => boolean,
  ) {
    this.#intervalNs = 1e9 / perSecond;
    this.#due = new Float64Array(streamsMax).fill(Number.POSITIVE_INFINITY);
    this.#sequence = new Uint32Array(streamsMax);
    this.#send = send;
  }

  /** Streams start spread over one interval. */
  start(stream: number): void {
    this.#sequence[stream] = 0;
    const phase = ((stream * 0.618_033_988_75) % 1) * this.#intervalNs;
    this.#due[stream] = Math.floor(monotonicNs() + phase);
    this.#used = Math.max(this.#used, stream + 1);
  }

  stop(stream: number): void {
    this.#due[stream] = Number.POSITIVE_INFINITY;
  }

  run(): void {
    setInterval(() => this.tick(), 1);
  }

  tick(): void {
    const now = monotonicNs();
    const due = this.#due;
    for (let stream = 0; stream < this.#used; stream++) {
      while (due[stream] <= now) {
        this.#patch(stream);
        // No room: this and all later ones are due again at the next tick.
        if (!this.#send(stream, this.#frame)) return;
        this.#sequence[stream]++;
        due[stream] += this.#intervalNs;
      }
    }
  }

  #patch(stream: number): void {
    const frame = this.#frame;
    const due = this.#due[stream];
    putHex(frame, TOKEN_AT + 1, this.#sequence[stream], 6);
    putHex(frame, TOKEN_AT + 8, Math.floor(due / 2 ** 28), 8);
    putHex(frame, TOKEN_AT + 16, due % 2 ** 28, 7);
  }
}

export const STREAMS_MAX = 4096;
export const TOKENS_PER_SECOND = 50;
