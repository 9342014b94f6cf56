import type { Connection, SendStatus } from '../../src/main/backend/backend.ts';

/** A client's socket in memory: what was sent, corked how, with back-pressure on demand. */
export class FakeConnection implements Connection {
  user: unknown = undefined;
  open = true;
  readonly sent: { text: string; bytes: Buffer; binary: boolean }[] = [];
  /** Syscalls it would have taken: one per cork, one per send outside of one. */
  writes = 0;
  pings = 0;
  closed: { code: number; reason: string } | undefined = undefined;
  /** While true, everything sent stays buffered. */
  full = false;
  #buffered = 0;
  #corked = false;

  send(bytes: Uint8Array, binary: boolean): SendStatus {
    if (!this.open) return 'closed';
    // A copy before decoding: the bytes may lie in shared memory.
    const copy = Buffer.from(bytes.slice());
    this.sent.push({ text: copy.toString(), bytes: copy, binary });
    if (!this.#corked) this.writes++;
    if (!this.full) return 'sent';
    this.#buffered += bytes.byteLength;
    // As the real ones: only the end of cork shows what waits.
    return this.#corked ? 'sent' : 'buffered';
  }
  buffered(): number {
    return this.#buffered;
  }
  /** The client read everything. */
  empty(): void {
    this.full = false;
    this.#buffered = 0;
  }
  cork(write: () => void): void {
    this.#corked = true;
    this.writes++;
    write();
    this.#corked = false;
  }
  ping(): void {
    this.pings++;
  }
  close(code: number, reason: string): void {
    if (!this.open) return;
    this.open = false;
    this.closed = { code, reason };
  }
  terminate(): void {
    this.open = false;
  }
}
