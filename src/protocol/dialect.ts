/**
 * A client-side wire protocol. Pure: client messages in, commands out; events in, frames out.
 *
 *   decode(message) ──▶ Command          (at once, when the message arrives)
 *   begin(turn)     ──▶ Opening          (when the turn's lane is free: continuation is resolved here)
 *   encoder         ◀── events, ──▶ frames, numbered, into a FrameSink
 *   settle(turn, …)                      (the lane is free again; the encoder has remembered its response)
 */
import type { MillraceError } from '../errors.ts';
import type { EventSink } from './events.ts';
import type { ModelRequest } from './request.ts';
import type { RouteRequest } from './route.ts';
import type { TraceContext } from './trace-context.ts';

export interface Dialect {
  readonly name: string;
  /** What this session says and remembers. One per session, on the session's worker. */
  conversation(bounds: DialectBounds, models: ModelList): Conversation;
  /** An error frame that belongs to no stream and no lane (main is overloaded, a limit was reached). */
  complain(error: MillraceError): Uint8Array;
  /** Does the protocol take binary messages? */
  readonly binary: boolean;
}

export interface DialectBounds {
  /** Remembered turns of one lane, bytes (history for continuation). */
  readonly historyBytesMax: number;
  /** One answer's text, bytes. */
  readonly outputBytesMax: number;
  readonly lanesMax: number;
  /** Wall clock for `completed_at`, milliseconds; without it answers say when they were asked for. Frames before the terminal one never use it. */
  readonly now?: () => number;
}

/** The models a session may ask for. */
export interface ModelList {
  has(model: string): boolean;
  /** For the sentence that refuses another. */
  readonly names: readonly string[];
}

/** One client message, copied out of shared memory: private bytes, free to decode. */
export interface ClientMessage {
  readonly bytes: Uint8Array;
  readonly binary: boolean;
  /** The bytes as JSON, where another thread parsed them already (very large messages). */
  readonly parsed?: unknown;
  /** 16 unguessable bytes that main drew for this message, with owner and generation: ids derive from it (ids.ts). */
  readonly seed: IdSeed;
  /** Wall clock of its arrival, milliseconds. The same when the message runs again on another worker. */
  readonly arrivedMs: number;
}

/** What ids are made of; see ids.ts. */
export interface IdSeed {
  readonly nonce: Uint8Array;
  readonly owner: number;
  readonly generation: number;
  /** Keyed check value over the others, made by main. */
  readonly tag: number;
}

/** A request on a lane. */
export interface Turn {
  /** '' is the default lane. */
  readonly lane: string;
  readonly model: string;
  /** The response's id, as the client will see it. */
  readonly responseId: string;
  /** The trace the message itself belongs to; otherwise its session's. */
  readonly trace?: TraceContext;
  /** What HTTP would say in headers of what its client has left. An HTTP answer begins with them; elsewhere the last event of an answer has them. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The dialect's own parsed message: only its conversation looks into it. */
  readonly detail: unknown;
}

export type Command =
  | { readonly kind: 'turn'; readonly turn: Turn }
  /** Cancel the running (or queued) turn with this response id, or everything on a lane. `unmatched` answers when there is none. */
  | {
      readonly kind: 'cancel';
      readonly responseId?: string;
      readonly lane?: string;
      readonly unmatched: Uint8Array;
    }
  /** Answered at once; nothing runs. */
  | { readonly kind: 'reply'; readonly frames: readonly Uint8Array[] }
  /** Answered, and the session ends. */
  | {
      readonly kind: 'close';
      readonly code: number;
      readonly reason: string;
      readonly frames: readonly Uint8Array[];
    };

/** Where frames go. The sink copies: the caller's buffer is its own again at return. */
export interface FrameSink {
  /** `flags` of memory/layout Flag (opener, commit, terminal, binary); `sequence` counts the stream's frames from 0. */
  frame(bytes: Uint8Array, length: number, flags: number, sequence: number): void;
}

/** Flags a dialect sets on frames; the same bits as memory/layout `Flag` (a test holds them equal). */
export const FrameFlag = { opener: 1, commit: 2, terminal: 4, binary: 8 } as const;

export type Opening =
  /** Send this upstream and feed the events to the encoder. */
  | { readonly kind: 'run'; readonly request: ModelRequest; readonly encoder: Encoder }
  /** Answered without an upstream (a warm-up, an unknown continuation). The last frame is terminal. */
  | { readonly kind: 'answer'; readonly frames: readonly Uint8Array[] }
  /** The handler of the session's route answers. */
  | { readonly kind: 'handle'; readonly request: RouteRequest };

export interface Conversation {
  decode(message: ClientMessage): Command;
  /**
   * The lane is free: resolves what the turn continues. With 'run', openers were already given to `out`.
   */
  begin(turn: Turn, out: FrameSink): Opening;
  /** An error frame for a turn that never began (queue full, draining, no upstream). */
  refuse(turn: Turn, error: MillraceError): Uint8Array;
  /** Bytes remembered now. */
  readonly heldBytes: number;
}

/**
 * Events of one turn, encoded. `finish` and `fail` write the terminal frame(s) and remember what a continuation needs.
 * `cancel` is the client's own wish: the dialect's word for it. The encoder numbers frames; it never merges (coalesce does).
 */
export interface Encoder extends EventSink {
  /**
   * From here on the events are this upstream's: a dialect that can says so in its last frame. `attempt` counts from 1; `continued`: it goes on with what
   * another one had begun.
   */
  from(upstream: string, attempt?: number, continued?: boolean): void;
  cancel(): void;
  /** Nothing was said for a while: says that an answer is still to come. Absent where the protocol does that by itself. */
  alive?(): void;
  /** Number of the next frame. */
  readonly sequence: number;
  /** True once a frame with upstream content was written: no failover from here on. */
  readonly committed: boolean;
  /**
   * The failure frame main would send if this worker died now, as bytes with a gap at `at` where the next sequence number (decimal)
   * is spliced in; `at` < 0: no number. `unopened` is the frame to send instead when not even an opener reached the client, in a
   * dialect whose clients expect one first. Asked for once, after the openers.
   */
  epitaph(error: MillraceError): {
    readonly bytes: Uint8Array;
    readonly at: number;
    readonly unopened?: Uint8Array;
  };
}
