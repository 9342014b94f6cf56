/** What a provider knows of its events; framing, order of ends and failures are the decoder's. */
import type { MillraceError } from '../../errors.ts';
import type { DeltaKind, FinishReason, Usage } from '../events.ts';
import type { DeltaPath, Volatile } from '../scan-shape.ts';

/** Where a reader says what an event means. */
export interface Say {
  /** A piece of content; '' says nothing. `path`: where in the event it stands whole, so that the next ones need no parsing. */
  text(kind: DeltaKind, part: number, text: string, path?: DeltaPath): void;
  tool(index: number, id: string, name: string): void;
  usage(usage: Usage): void;
  /** The finish reason: only usage and the end marker may still come. */
  finish(reason: FinishReason): void;
  /** The end marker. */
  end(): void;
  /** The upstream reports a failure. */
  broken(error: MillraceError): void;
  /** It is not its protocol. */
  malformed(reason: string): void;
}

export interface EventReader {
  /** Top-level members that differ from event to event and mean nothing. */
  readonly volatile: readonly Volatile[];
  /** One event. A value that is no JSON comes as text, and only under the name `error`. */
  event(value: unknown, name: string, say: Say): void;
  /** A body that is one JSON value: an error, or a whole answer. */
  whole(value: unknown, say: Say): void;
}
