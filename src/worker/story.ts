/** When what happened in one attempt, for its stream's access line and its span. The worker's clock; -1: did not happen. */
import type { AttemptFact } from '../threads/facts.ts';
import type { Upstream } from './route.ts';

export class Story {
  readonly startMs: number;
  sentMs = -1;
  headMs = -1;
  firstMs = -1;
  maxGapMs = 0;
  #lastMs = -1;
  /** Our own pauses since the first delta. */
  #stoodMs = 0;

  constructor(startMs: number) {
    this.startMs = startMs;
  }

  /** A read brought deltas. On the token path: two comparisons. */
  moved(nowMs: number): void {
    if (this.firstMs < 0) this.firstMs = nowMs;
    else if (nowMs - this.#lastMs > this.maxGapMs) this.maxGapMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
  }

  /** We held it for so long: that is nobody's gap. */
  stood(ms: number): void {
    if (this.firstMs < 0) return;
    this.#lastMs += ms;
    this.#stoodMs += ms;
  }

  /** From one of so many deltas to the next; -1 when there was no next. */
  meanGapMs(deltas: number): number {
    if (deltas < 2) return -1;
    return (this.#lastMs - this.firstMs - this.#stoodMs) / (deltas - 1);
  }

  /** `from`: the stream's start. */
  fact(
    { index, options, address }: Upstream,
    outcome: AttemptFact['outcome'],
    from: number,
    nowMs: number,
    spanId: string | undefined,
  ): AttemptFact {
    const after = (ms: number) => (ms < 0 ? -1 : ms - this.startMs);
    return {
      upstream: options.name,
      row: index,
      provider: options.provider,
      origin: address.origin,
      outcome,
      startMs: this.startMs - from,
      sentMs: after(this.sentMs),
      headMs: after(this.headMs),
      firstMs: after(this.firstMs),
      durationMs: nowMs - this.startMs,
      ...(spanId === undefined ? {} : { spanId }),
    };
  }
}
