/** A plain WebSocket back end: says every message back, and breaks after so many as the faults want. */
import type { Faults } from '../faults.ts';
import type { JournalRow } from '../journal.ts';
import type { Line } from './line.ts';

export class EchoSession {
  readonly #line: Line;
  readonly #faults: Faults;
  readonly #row: JournalRow;

  constructor(line: Line, faults: Faults, row: JournalRow) {
    this.#line = line;
    this.#faults = faults;
    this.#row = row;
    row.status = 101;
    this.#broken();
  }

  message(bytes: Buffer, binary: boolean): void {
    if (this.#row.ending !== 'running') return;
    const stall = this.#faults['stall-after'];
    if (stall !== undefined && this.#row.tokensSent >= stall) return;
    this.#row.tokensSent += 1;
    this.#row.bytesSent += bytes.length;
    this.#line.say(bytes, binary, this.#faults.split);
    this.#broken();
  }

  #broken(): void {
    const sent = this.#row.tokensSent;
    const { 'reset-after': reset, 'cut-after': cut, 'end-after': end } = this.#faults;
    if (sent !== reset && sent !== cut && sent !== end) return;
    this.#row.ending = 'fault';
    if (sent === reset) this.#line.reset();
    else if (sent === cut) this.#line.cut();
    else this.#line.close(this.#faults['close-code'] ?? 1000);
  }
}
