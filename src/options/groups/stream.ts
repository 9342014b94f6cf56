/** One answer: its clocks, its retries, its bounds. */
import { z } from 'zod';
import { bytes, count, KiB, MiB, ms, share } from './scalars.ts';

export const stream = z.strictObject({
  connectTimeoutMs: ms(5_000, 1).describe(
    'Time until an upstream has accepted the connection and answered with headers.',
  ),
  headersTimeoutMs: ms(60_000, 1).describe('Time until the response headers, once connected.'),
  firstDeltaTimeoutMs: ms(60_000, 1).describe(
    'Time until the first delta of an answer, per attempt.',
  ),
  gapTimeoutMs: ms(30_000, 1).describe('Longest silence between two pieces of an answer.'),
  finishGraceMs: ms(1_000, 0).describe(
    'How long usage and the end marker may come after the finish reason.',
  ),
  deadlineMs: ms(120_000, 1).describe(
    'All attempts before the first delta must fit into this time.',
  ),
  maxRetries: count(3, 0, 100).describe(
    'Further attempts after the first, before the first delta.',
  ),
  retryDelayMs: ms(100).describe(
    'Base of the jittered wait before the same upstream is tried again.',
  ),
  retriesRunningMax: count(3, 0, 65_536).describe(
    'Floor of the retry budget, per worker: this many retries may always run at once, and as many begin each second.',
  ),
  retriesRunningShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.2)
    .describe(
      'Share of the running streams that may be retries, and of the attempts begun in the last ten seconds, above the floor.',
    ),
  hedgeAfterMs: ms(0, 0, 600_000).describe(
    'When no first delta came by then, a second attempt runs at another upstream; the first with content stays, the other is closed. 0: never.',
  ),
  hedgeShareMax: share(0.02).describe(
    'Share of the running streams that may have such a second attempt; one always may.',
  ),
  minTokensPerSecond: z
    .number()
    .min(0)
    .max(1_000_000)
    .default(0)
    .describe(
      'An answer that brings fewer deltas per second than this over a window has failed; 0: never.',
    ),
  rateWindowMs: ms(10_000, 100, 600_000).describe('Length of that window.'),
  resumesMax: count(5, 0, 1_000).describe(
    'How often the rest of one answer is asked for, at an upstream with the option resume.',
  ),
  eventBytesMax: bytes(1 * MiB, 1 * KiB, 64 * MiB).describe(
    'Largest single event an upstream may send.',
  ),
  outputBytesMax: bytes(16 * MiB, 1 * KiB, 256 * MiB).describe('Largest answer.'),
  keepAliveMs: ms(15_000, 100, 600_000).describe(
    'An HTTP stream that was silent for this long gets a comment line, so that proxies keep it open; before the first content it also fixes the status at 200.',
  ),
  openerHoldMs: ms(0, 0, 60_000).describe(
    'Holds openers (response.created …) back until content arrives, at most this long; 0 sends them at once.',
  ),
});
