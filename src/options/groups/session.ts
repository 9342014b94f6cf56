/** Bounds of one client. */
import { z } from 'zod';
import { bytes, count, KiB, MiB, ms } from './scalars.ts';

export const session = z.strictObject({
  creditBytes: bytes(256 * KiB, 16 * KiB, 64 * MiB).describe(
    'Bytes a session may leave unread (in our queues) before its upstreams are paused.',
  ),
  queuedRequestsMax: count(64, 1, 65_536).describe('Requests that may wait on one session.'),
  runningRequestsMax: count(16, 1, 65_536).describe('Requests that run at once on one session.'),
  lanesMax: count(32, 1, 65_536).describe(
    'Named lanes (stream_id) one session may use in its life.',
  ),
  historyBytesMax: bytes(4 * MiB, 0, 1024 * MiB).describe(
    'Bytes of finished turns a lane remembers for previous_response_id.',
  ),
  whenRevoked: z
    .enum(['close', 'drain'])
    .default('close')
    .describe(
      'What becomes of a session whose API key is removed, disabled or expires: closed at once with 1008, or when its running answers have ended.',
    ),
  socketBytesMax: bytes(4 * MiB, 64 * KiB, 1024 * MiB).describe(
    'Bytes that may wait in a session of engine.socket: for a client that does not read, and for a handler that is not done; above it is closed with 1013.',
  ),
  slowClientTimeoutMs: ms(30_000, 100).describe(
    'A client that reads nothing for this long while frames wait is closed with 1013.',
  ),
});
