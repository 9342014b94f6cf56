/**
 * What threads tell each other outside the rings: one closed union per direction, a few messages per life or per stream.
 * Everything here survives structuredClone; errors travel as WireError.
 */
import type { MessagePort } from 'node:worker_threads';
import type { EncodingName } from '../codec/negotiate.ts';
import type { WireError } from '../errors.ts';
import type { SharedBytes } from '../memory/contract.ts';
import type { Options } from '../options/schema.ts';
import type { Seat } from '../policy/upstream-roster.ts';
import type { AuthAnswer, AuthRequest } from '../protocol/hooks.ts';
import type { TraceContext } from '../protocol/trace-context.ts';
import type { Fact } from './facts.ts';

/** The shared memory, as the engine made it: handed to every thread once. */
export interface SharedHandles {
  readonly sessions: SharedBytes;
  readonly threads: SharedBytes;
  readonly upstreams: SharedBytes;
  readonly slab: SharedBytes;
  readonly ledger: SharedBytes;
  /** Words of limits (memory/limit-table.ts). */
  readonly limits: SharedBytes;
  /** What streams have set aside of them (memory/reservation-book.ts). */
  readonly reservations: SharedBytes;
  /** Counter blocks, one region per thread row. */
  readonly counters: SharedBytes;
}

/** The options in force. Each change of them has the next epoch. */
export interface Configuration {
  readonly epoch: number;
  readonly options: Options;
  /** The row of each upstream, in the order of the options. */
  readonly seats: readonly Seat[];
}

/** Start message of one worker incarnation (the piscina task's argument, with `port` in its transfer list). */
export interface WorkerStart extends Configuration {
  readonly worker: number;
  readonly generation: number;
  readonly shared: SharedHandles;
  /** main to worker / worker to main: this incarnation's own rings. */
  readonly up: SharedBytes;
  readonly down: SharedBytes;
  readonly port: MessagePort;
}

export type ToWorker =
  /** The bell of the up ring. */
  | { readonly type: 'bell' }
  /** Changed options: for streams that start from now on. */
  | { readonly type: 'configure'; readonly configuration: Configuration }
  /** The user's `onAuth` is asked; its answer has the same id. */
  | { readonly type: 'auth'; readonly id: number; readonly asked: AuthFacts };

/** What `onAuth` is told, before it has a form for it. */
export type AuthFacts = Omit<AuthRequest, 'query'> & { readonly query: string };

export type FromWorker =
  /** The bell of the down ring. */
  | { readonly type: 'bell' }
  /** `thread`: `threadNumber` of port.ts. */
  | { readonly type: 'ready'; readonly thread: number; readonly asksAuth: boolean }
  | { readonly type: 'fact'; readonly fact: Fact }
  | { readonly type: 'auth'; readonly id: number; readonly answer: AuthAnswer | WireError }
  /** It could not start. */
  | { readonly type: 'failed'; readonly error: WireError };

export interface CoordinatorStart extends Configuration {
  readonly generation: number;
  readonly shared: SharedHandles;
}

export type ToCoordinator =
  /** Manual drain of an upstream, from the admin port. */
  | {
      readonly type: 'drain';
      readonly upstream: string;
      readonly drained: boolean;
      readonly id: number;
    }
  /** Another weight, by hand; 0: the configured one. */
  | {
      readonly type: 'weigh';
      readonly upstream: string;
      readonly weight: number;
      readonly id: number;
    }
  /** Changed options. Answered when the rows are written. */
  | { readonly type: 'configure'; readonly configuration: Configuration; readonly id: number }
  | { readonly type: 'stop' };

export type FromCoordinator =
  | { readonly type: 'ready' }
  | { readonly type: 'fact'; readonly fact: Fact }
  | { readonly type: 'answer'; readonly id: number; readonly error?: WireError }
  | { readonly type: 'stopped' };

/** What a session may ask for. */
export interface Rights {
  /** Models it may name; one that ends in * stands for all that begin so. Absent: every model. */
  readonly models?: readonly string[];
  /** Whose limits it has: one of `limits.tiers`. Absent, or one that is not configured: those of everybody. */
  readonly tier?: string;
}

/** What main tells a worker about a session, as JSON in a `sessionOpen` record. */
export interface SessionFacts {
  readonly dialect: string;
  /** Hash of the key, or 'anonymous'. */
  readonly principal: string;
  readonly address: string;
  /** What the operator calls the key; absent: it has no name. */
  readonly keyName?: string;
  readonly rights?: Rights;
  /** The trace that its upgrade request belongs to. */
  readonly trace?: TraceContext;
  /** Path of the user's route, where the dialect is `route`. */
  readonly route?: string;
  /** The subprotocol it was answered with. */
  readonly protocol?: string;
  /** One request, one answer: HTTP. */
  readonly once?: boolean;
  /** How its messages are encoded; absent: as they are. */
  readonly encoding?: EncodingName;
  /** Hash of the dictionary they are encoded with. */
  readonly dictionary?: string;
}

/**
 * In front of the client's bytes in a `message` record (little endian):
 *   0  nonce, 16 bytes · 16 arrivedMs, float64 · 24 owner u16 · 26 owner generation u16 · 28 skip u32 · 32 tag u32 · 36 paid u32.
 * `skip`: frames with a lower sequence number were already delivered by a worker that died; they are made again but not sent.
 * `paid`: 0, or limits were charged for it by a worker that died, and 1 more than the milliseconds after `arrivedMs` at which its turn comes.
 */
export const MESSAGE_PROLOGUE_BYTES = 40;
