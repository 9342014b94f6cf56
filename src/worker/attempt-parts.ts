/** What an attempt is made of, what it tells, and where it stands. */
import type { MillraceError } from '../errors.ts';
import type { Encoder } from '../protocol/dialect.ts';
import type { HeaderReader, Provider } from '../protocol/provider.ts';
import type { Resumption } from '../protocol/resumption.ts';
import type { Upstream } from './route.ts';
import type { Outlet } from './tap.ts';
import type { Transcript } from './transcript.ts';

export type Phase =
  | 'connect'
  | 'headers'
  | 'refusal'
  | 'first'
  | 'gap'
  | 'cut'
  | 'asking'
  | 'grace'
  | 'linger'
  | 'over';

export interface AttemptFailure {
  readonly error: MillraceError;
  /** The request left the process. */
  readonly sent: boolean;
  /** What the upstream said about when to come back. */
  readonly retryAfterMs: number | undefined;
}

export interface AttemptEvents {
  /** It will be answered: the head is there. */
  accepted(headers: HeaderReader): void;
  /** The first content is in a frame: from here on no failover. */
  committed(): void;
  /** All was handed over. The exchange may still be ending. */
  finished(): void;
  failed(failure: AttemptFailure): void;
  /** Our own back-pressure holds it; no clock counts until `resumed`. */
  paused(): void;
  resumed(): void;
}

export interface AttemptParts {
  readonly upstream: Upstream;
  readonly provider: Provider;
  /** Absent: an answer that breaks off has failed. */
  readonly resumption: Resumption | undefined;
  readonly encoder: Encoder;
  /** The key that the request carries. */
  readonly apiKey: string | undefined;
  /** Counted from 1. */
  readonly number: number;
  /** It goes on with an answer that another upstream began. */
  readonly continued: boolean;
  /** Hears what is said. */
  readonly transcript: Transcript | undefined;
  readonly tap: Outlet;
  readonly events: AttemptEvents;
}
