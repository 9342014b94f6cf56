/**
 * What happened, for whoever wants to know: logs, metrics, other processes later. Never on the token path: a few facts a stream.
 */
import type { WireError } from '../errors.ts';

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
    }
  | { readonly fact: 'upstream-drain'; readonly upstream: string; readonly drained: boolean }
  | {
      readonly fact: 'attempt-failed';
      readonly stream: number;
      readonly upstream: string;
      readonly error: WireError;
    }
  | {
      readonly fact: 'stream-ended';
      readonly session: number;
      readonly stream: number;
      readonly responseId: string;
      readonly principal: string;
      /** What the operator calls the key; absent: it has no name. */
      readonly keyName?: string;
      readonly dialect: string;
      readonly model: string;
      /** '' when none was reached. */
      readonly upstream: string;
      readonly attempts: number;
      readonly outcome: 'finished' | 'failed' | 'cancelled';
      readonly error?: WireError;
      readonly inputTokens: number;
      readonly outputTokens: number;
      readonly frames: number;
      readonly firstDeltaMs: number;
      readonly durationMs: number;
    }
  | { readonly fact: 'fault'; readonly where: string; readonly text: string };
