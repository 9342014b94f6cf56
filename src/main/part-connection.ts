/** The client that a function's `upstream.stream()` is to the engine: its frames become parts in a pipe instead of bytes on a socket. */
import { MillraceError } from '../errors.ts';
import type { PartFrame } from '../protocol/dialects/parts.ts';
import { PartPipe } from '../protocol/part-pipe.ts';
import type { BackendHandlers, Connection, SendStatus } from './backend/backend.ts';
import type { Admission } from './session.ts';

export type Engine = Pick<BackendHandlers, 'open' | 'message' | 'drain' | 'alive' | 'close'>;

/** Calls again and again until what it returned is called. */
export type Every = (tick: () => void) => () => void;

export class PartConnection implements Connection {
  user: unknown;
  open = true;
  readonly pipe = new PartPipe(() => this.#pulled());
  readonly #engine: Engine;
  readonly #every: Every;
  readonly #over: () => void;
  #stop: (() => void) | undefined;

  /** `every`: a timer that is quicker than the engine's patience with clients that do not read. `over`: nothing comes any more. */
  constructor(engine: Engine, admission: Admission, every: Every, over: () => void) {
    this.#engine = engine;
    this.user = admission;
    this.#every = every;
    this.#over = over;
  }

  ask(request: unknown): void {
    this.#engine.open(this);
    if (this.open) this.#engine.message(this, Buffer.from(JSON.stringify(request)), false);
  }

  /** Nobody pulls any more. */
  leave(): void {
    if (!this.open) return;
    this.#end();
    this.#engine.close(this, 1000, '');
  }

  send(bytes: Uint8Array): SendStatus {
    if (!this.open) return 'closed';
    // A copy first: text is never decoded from shared memory.
    const frame = JSON.parse(Buffer.from(bytes).toString()) as PartFrame;
    if (frame.type === 'error') this.pipe.close(MillraceError.fromWire(frame.error));
    else this.pipe.put(frame, bytes.byteLength);
    if (frame.type === 'finish') this.pipe.close();
    if (this.pipe.over) this.#over();
    if (this.pipe.bytes === 0) return 'sent';
    // A handler may take its time: only clients are closed for not reading.
    this.#stop ??= this.#every(() => this.#engine.drain(this));
    return 'buffered';
  }

  buffered(): number {
    return this.pipe.bytes;
  }

  cork(write: () => void): void {
    write();
  }

  /** It lives as long as its handler does, which may take its time: silence is no sign of death. */
  ping(): void {
    queueMicrotask(() => this.open && this.#engine.alive(this));
  }

  close(code: number, reason: string): void {
    if (!this.open) return;
    this.#end();
    this.pipe.close(endOf(code));
    this.#over();
    queueMicrotask(() => this.#engine.close(this, code, reason));
  }

  terminate(): void {
    this.close(1006, '');
  }

  #pulled(): void {
    if (this.pipe.bytes === 0) this.#rest();
    if (this.open) this.#engine.drain(this);
  }

  #end(): void {
    this.open = false;
    this.#rest();
  }

  #rest(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

/** Why the engine ended it before the answer did. */
function endOf(code: number): MillraceError {
  return code === 1013
    ? new MillraceError('MILLRACE_OVERLOADED', { bound: 'server.sessionsMax', waitMs: 1_000 })
    : new MillraceError('MILLRACE_CLOSED', {});
}
