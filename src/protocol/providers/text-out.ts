/**
 * Decoded text on its way out: escaped again, and never with half a surrogate pair. Servers that write `\ud83c` and `\udf0a` in two
 * chunks are common (Python escapes so, and a token may be half an emoji): the first half waits for the other.
 */
import { Delta, type DeltaKind, type EventSink } from '../events.ts';
import { endsInHalf, escapeBody, wellFormed } from '../json-text.ts';

export class TextOut {
  readonly #sink: EventSink;
  /** The first half of a pair, and what it is a piece of. */
  #half = '';
  #kind: DeltaKind = Delta.text;
  #part = 0;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  /** A half waits: the next text belongs behind it. */
  get waiting(): boolean {
    return this.#half !== '';
  }

  say(kind: DeltaKind, part: number, piece: string): void {
    let text = piece;
    if (this.#half !== '') {
      if (kind === this.#kind && part === this.#part) {
        text = this.#half + text;
        this.#half = '';
      } else this.release();
    }
    if (endsInHalf(text)) {
      this.#half = text.slice(-1);
      this.#kind = kind;
      this.#part = part;
      text = text.slice(0, -1);
    }
    if (text !== '') this.#send(kind, part, text);
  }

  /** The other half will not come. */
  release(): void {
    if (this.#half === '') return;
    this.#half = '';
    this.#send(this.#kind, this.#part, '\ufffd');
  }

  #send(kind: DeltaKind, part: number, text: string): void {
    const body = escapeBody(wellFormed(text));
    this.#sink.delta(kind, part, body, 0, body.length);
  }
}
