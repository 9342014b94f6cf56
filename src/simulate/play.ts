/** Performs a script on a sink: everything that is due leaves in one write, and nothing while the client does not read. */
import type { JournalRow } from './journal.ts';
import type { Step } from './script.ts';
import type { Sink } from './sink.ts';
import type { Cancel, Timed, Wheel } from './wheel.ts';

/** One write carries at most about this much. */
const WRITE_BYTES_MAX = 64 * 1024;

export class Play implements Timed {
  readonly #steps: Iterator<Step>;
  readonly #sink: Sink;
  readonly #row: JournalRow;
  readonly #wheel: Wheel;
  #next: Step | undefined;
  #dueMs: number;
  #cancel: Cancel | undefined;

  /** Begins at once. The row's ending is settled when the script ends; whoever sees the connection go first settles it otherwise. */
  constructor(steps: Iterator<Step>, sink: Sink, row: JournalRow, wheel: Wheel) {
    this.#steps = steps;
    this.#sink = sink;
    this.#row = row;
    this.#wheel = wheel;
    this.#dueMs = wheel.now();
    sink.onDrained(() => this.run(wheel.now()));
    this.#advance();
    this.run(this.#dueMs);
  }

  /** The connection is gone. */
  stop(): void {
    this.#cancel?.();
    this.#next = undefined;
  }

  run(nowMs: number): void {
    this.#cancel?.();
    let text = '';
    let open = true;
    while (open && this.#next && this.#dueMs <= nowMs) {
      const { bytes, tokens, finale } = this.#next;
      if (typeof bytes === 'string') text += bytes;
      else {
        this.#write(text);
        open = this.#write(bytes);
        text = '';
      }
      this.#count(tokens, nowMs);
      if (finale) {
        this.#write(text);
        return this.#end(finale, nowMs);
      }
      this.#advance();
      if (text.length >= WRITE_BYTES_MAX) {
        open = this.#write(text);
        text = '';
      }
    }
    if (!this.#write(text)) open = false;
    if (open && this.#next) this.#cancel = this.#wheel.at(this.#dueMs, this);
  }

  #advance(): void {
    const { done, value } = this.#steps.next();
    this.#next = done ? undefined : value;
    if (this.#next) this.#dueMs += this.#next.waitMs;
  }

  #write(bytes: string | Uint8Array): boolean {
    if (bytes.length === 0) return true;
    this.#row.bytesSent += Buffer.byteLength(bytes);
    return this.#sink.write(bytes);
  }

  #count(tokens: number, nowMs: number): void {
    if (tokens === 0) return;
    this.#row.firstTokenMs ??= nowMs;
    this.#row.tokensSent += tokens;
  }

  #end(finale: NonNullable<Step['finale']>, nowMs: number): void {
    this.#next = undefined;
    // A hanging answer is ended by the client, or never.
    if (finale === 'hang') return;
    this.#row.endedMs = nowMs;
    this.#row.ending = finale === 'end' ? 'finished' : 'fault';
    if (finale === 'short' && this.#sink.short) this.#sink.short();
    else if (finale === 'end' || finale === 'short') this.#sink.end();
    else if (finale === 'cut') this.#sink.cut();
    else this.#sink.reset();
  }
}
