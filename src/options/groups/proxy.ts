/** Sessions that are carried on to a WebSocket back end. */
import { z } from 'zod';
import { bytes, count, KiB, MiB, ms } from './scalars.ts';

export const proxy = z.strictObject({
  protocols: z
    .array(z.string().regex(/^[!#$%&'*+.^_`|~A-Za-z0-9-]{1,64}$/))
    .max(64)
    .default([])
    .describe(
      'Subprotocols its back ends speak: the first one that a client offers is answered, and is what its back end must accept; none: no subprotocol is agreed.',
    ),
  handshakeTimeoutMs: ms(5_000, 1, 600_000).describe(
    'Time until a back end has accepted the connection and the upgrade.',
  ),
  messageBytesMax: bytes(16 * MiB, 1 * KiB, 256 * MiB).describe(
    'Largest message a back end may send.',
  ),
  replayBytesMax: bytes(1 * MiB, 0, 256 * MiB).describe(
    'Bytes a client may say before its back end speaks and still be moved to another one, which gets them again.',
  ),
  bufferBytesMax: bytes(1 * MiB, 16 * KiB, 256 * MiB).describe(
    'Bytes that may wait for a back end before its client is not read any more (ws backend).',
  ),
  unpausedBytesMax: bytes(16 * MiB, 16 * KiB, 1024 * MiB).describe(
    'Bytes that may wait for a back end where a client cannot be paused (uws backend); above it its session is closed with 1013.',
  ),
  stallTimeoutMs: ms(30_000, 100).describe(
    'A back end that reads nothing for this long while messages wait ends the session with 1013.',
  ),
  pingIntervalMs: ms(30_000, 100).describe(
    'A ping goes to every back end that was silent for this long; one that is silent for another such time is lost.',
  ),
  idleTimeoutMs: ms(0).describe(
    'A session in which neither side says anything for this long is closed with 1001; 0: never.',
  ),
  sessionMsMax: ms(0).describe(
    'A session that has lasted this long is closed with 1012, so that its client comes again; 0: never.',
  ),
  idleSocketsMax: count(16, 0, 4_096).describe(
    'Connections kept for the next client, per worker and back end, where upstreams[].reuse is set.',
  ),
  idleSocketMs: ms(30_000, 100).describe('How long such a connection is kept.'),
});
