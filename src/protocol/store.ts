/**
 * What outlives a turn, behind a seam: in memory here, elsewhere when several processes share it.
 */

export interface StoredResponse {
  readonly responseId: string;
  /** Whoever may continue it: session-bound by default. */
  readonly holder: string;
  readonly bytes: number;
  readonly content: unknown;
}

/** Finished responses for continuation; later the replay log of running ones. Bounded; oldest go first. */
export interface StreamStore {
  put(entry: StoredResponse): void;
  get(responseId: string, holder: string): StoredResponse | undefined;
  evict(responseId: string): void;
  readonly heldBytes: number;
}
