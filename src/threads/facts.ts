/**
 * What happened, for whoever wants to know: logs, metrics, other processes later. Never on the token path: a few facts a stream.
 */
import type { Code, WireError } from '../errors.ts';

export type Fact =
  | { readonly fact: 'worker-ready'; readonly worker: number; readonly generation: number }
  | {
      readonly fact: 'worker-lost';
      readonly worker: number;
      readonly generation: number;
      readonly reason: string;
      readonly rerun: number;
      readonly failed: number;
    }
  | { readonly fact: 'coordinator-ready'; readonly generation: number }
  | { readonly fact: 'coordinator-lost'; readonly generation: number; readonly reason: string }
  | {
      readonly fact: 'upstream-health';
      readonly upstream: string;
      readonly healthy: boolean;
      readonly reason: string;
    }
  | {
      readonly fact: 'upstream-circuit';
      readonly upstream: string;
      readonly model: string;
      readonly change: 'opened' | 'closed';
      /** It opened because so small a share of the answers succeeded. */
      readonly successShare?: number;
    }
  | { readonly fact: 'upstream-drain'; readonly upstream: string; readonly drained: boolean }
  | {
      readonly fact: 'upstream-weight';
      readonly upstream: string;
      readonly weight: number;
      /** Set by an operator; false: the configured one again. */
      readonly byHand: boolean;
    }
  /** Said once: the upstream does not accept one of its keys. `key` is its place in the list, from 1. */
  | {
      readonly fact: 'upstream-key-refused';
      readonly upstream: string;
      readonly key: number;
      readonly status: number;
    }
  | {
      readonly fact: 'attempt-failed';
      readonly stream: number;
      readonly responseId: string;
      readonly upstream: string;
      readonly error: WireError;
    }
  | StreamEnded
  /** A stream whose worker was lost with it: what main knows of it. */
  | {
      readonly fact: 'stream-lost';
      readonly session: number;
      readonly generation: number;
      readonly stream: number;
      readonly principal: string;
      /** What the operator calls the key; absent: it has no name. */
      readonly keyName?: string;
      readonly dialect: string;
      readonly frames: number;
      readonly durationMs: number;
      readonly code: Code;
    }
  | {
      readonly fact: 'session-ended';
      readonly session: number;
      readonly generation: number;
      readonly principal: string;
      readonly keyName?: string;
      readonly dialect: string;
      readonly address: string;
      readonly by: 'client' | 'server';
      readonly closeCode: number;
      /** Why, when it was ours to say. */
      readonly code?: Code;
      readonly requests: number;
      readonly bytesIn: number;
      readonly bytesOut: number;
      readonly durationMs: number;
    }
  /** A session that was carried on to a WebSocket back end. */
  | {
      readonly fact: 'proxy-ended';
      readonly session: number;
      readonly generation: number;
      readonly principal: string;
      readonly keyName?: string;
      readonly address: string;
      /** The back end asked last; '' when none was. */
      readonly upstream: string;
      readonly worker: number;
      /** Back ends asked, one after another. */
      readonly attempts: number;
      /** As whoever ended it said it: client, back end or millrace. */
      readonly closeCode: number;
      /** Why, when it was ours to say. */
      readonly code?: Code;
      readonly messagesIn: number;
      readonly bytesIn: number;
      readonly messagesOut: number;
      readonly bytesOut: number;
      readonly durationMs: number;
    }
  | { readonly fact: 'handshake-refused'; readonly code: Code; readonly address: string }
  | { readonly fact: 'fault'; readonly where: string; readonly text: string };

/** A stream's whole story, told once, when it ends. Times are milliseconds; -1: did not happen. */
export interface StreamEnded {
  readonly fact: 'stream-ended';
  readonly session: number;
  readonly generation: number;
  readonly stream: number;
  readonly responseId: string;
  /** '' is the default lane. */
  readonly lane: string;
  readonly principal: string;
  /** What the operator calls the key; absent: it has no name. */
  readonly keyName?: string;
  readonly dialect: string;
  readonly model: string;
  /** The one asked last; '' when none was reached. */
  readonly upstream: string;
  readonly provider: string;
  readonly worker: number;
  /** How many were made; `tries` has the first ones. */
  readonly attempts: number;
  readonly tries: readonly AttemptFact[];
  readonly outcome: 'finished' | 'failed' | 'cancelled';
  /** Of a cancelled one: the client asked for it, or left. */
  readonly cause?: 'asked' | 'left';
  readonly finishReason?: string;
  readonly error?: WireError;
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  readonly frames: number;
  readonly bytes: number;
  readonly deltas: number;
  /** Wall clock of its start, milliseconds with fractions. */
  readonly startedWallMs: number;
  readonly firstDeltaMs: number;
  /** Between deltas, and between two reads that brought some; our own pauses taken out. */
  readonly meanGapMs: number;
  readonly maxGapMs: number;
  /** How long our own back-pressure held it. */
  readonly pausedMs: number;
  readonly durationMs: number;
  readonly trace?: StreamTraceFact;
}

/** One attempt at an upstream. `startMs` counts from the stream's start, the others from the attempt's. */
export interface AttemptFact {
  readonly upstream: string;
  /** Its row in the upstream table. */
  readonly row: number;
  readonly provider: string;
  readonly origin: string;
  /** How it ended: a code when it failed. */
  readonly outcome: 'finished' | 'cancelled' | Code;
  readonly startMs: number;
  readonly sentMs: number;
  readonly headMs: number;
  readonly firstMs: number;
  readonly durationMs: number;
  /** The span id that its upstream was told. */
  readonly spanId?: string;
}

/** The ids of a stream in a trace; `parentId` is the client's span, absent in a trace of our own. */
export interface StreamTraceFact {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
  readonly flags: number;
  readonly state?: string;
}
