/**
 * main's bell, rung at most once per gap. A bell is a message: it costs both threads about as much as everything else that is
 * done for a token. So the first one goes at once, and while they come thicker than the gap, one bell serves all records
 * that were written meanwhile: main wakes, takes a batch, and writes what belongs to one session together.
 *
 *     records   ·      ·  ·   ·  · ·  ·         ·
 *     bells     ▲      ▲         ▲         ▲    (waits at most one gap)
 */
import type { Bell } from '../memory/contract.ts';
import type { Clock, Ticker } from '../policy/ports.ts';

/** Also the finest step of the timers of Node. */
const GAP_MS = 1;

export function pacedBell(
  bell: Bell,
  clock: Pick<Clock, 'now'>,
  ticker: Pick<Ticker, 'after'>,
): Bell {
  let rungMs = Number.NEGATIVE_INFINITY;
  let pending = false;

  function ringNow(): void {
    pending = false;
    rungMs = clock.now();
    bell.ring();
  }

  return {
    ring() {
      if (pending) return;
      const restMs = rungMs + GAP_MS - clock.now();
      if (restMs <= 0) return ringNow();
      pending = true;
      ticker.after(restMs, ringNow);
    },
  };
}
