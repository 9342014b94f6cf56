/** How messages to clients that ask for it are compressed. */
import { z } from 'zod';
import { bytes, count, KiB, MiB } from './scalars.ts';

export const compression = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe(
      'Clients may ask for encodings (subprotocol or query): zstd with a dictionary, zstd, brotli, gzip, deflate.',
    ),
  permessageDeflate: z
    .enum(['off', 'shared', '1KiB', '2KiB', '4KiB'])
    .default('off')
    .describe(
      'Compression by the WebSocket server itself, on the main thread, for clients that offer it (browsers, the SDKs): shared keeps nothing per session and takes messages from minCompressSize on; a window keeps 8, 16 or 32 KiB per session and takes all (uWebSockets.js alone: ws does shared).',
    ),
  minCompressSize: bytes(1 * KiB, 0, 16 * MiB).describe(
    'Shorter messages go as they are; with a dictionary all are compressed.',
  ),
  gzipLevel: count(6, 1, 9).describe('Level of gzip.'),
  deflateLevel: count(6, 1, 9).describe('Level of deflate (the zlib format, RFC 1950).'),
  brotliLevel: count(4, 1, 11).describe('Level of brotli.'),
  zstdLevel: count(3, 1, 22).describe('Level of zstd without a dictionary.'),
});
