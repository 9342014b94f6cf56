/**
 * One message as permessage-deflate without context takeover makes it (RFC 7692 section 7.2.1): for the backend that builds its own
 * frames. Runs on main, which is why it is off unless asked for; the encodings of negotiate.ts are made by workers.
 */
import { constants, deflateRawSync } from 'node:zlib';

const TAIL_BYTES = 4;
/** Tokens gain little beyond the first level, and each costs main. */
const settings = { level: 1, finishFlush: constants.Z_SYNC_FLUSH } as const;

/** Undefined: it would not become shorter. */
export function deflateMessage(bytes: Uint8Array): Uint8Array | undefined {
  const made = deflateRawSync(bytes, settings);
  const length = made.byteLength - TAIL_BYTES;
  return length < bytes.byteLength ? made.subarray(0, length) : undefined;
}
