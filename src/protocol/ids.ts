/**
 * Response ids: who owns the stream, 128 unguessable bits, and a tag that only main can make, so that a forged owner is
 * noticed before anything is routed by it.
 *
 *   resp_ + base64url( owner u8 · generation u16 · nonce 16 bytes · tag u32 )      5 + 31 characters
 *
 * Item and part ids inside a response are short ordinals (`msg_0`, `fc_1`): random ones there spoil compression.
 */
import type { IdSeed } from './dialect.ts';

export const NONCE_BYTES = 16;
const BYTES = 1 + 2 + NONCE_BYTES + 4;

export function formatId(prefix: string, seed: IdSeed): string {
  const bytes = Buffer.allocUnsafe(BYTES);
  bytes[0] = seed.owner;
  bytes.writeUInt16LE(seed.generation & 0xffff, 1);
  bytes.set(seed.nonce.subarray(0, NONCE_BYTES), 3);
  bytes.writeUInt32LE(seed.tag >>> 0, 3 + NONCE_BYTES);
  return prefix + bytes.toString('base64url');
}

/** The seed an id was made of, or undefined when it has not that shape. The tag is not checked here. */
export function parseId(prefix: string, id: string): IdSeed | undefined {
  if (!id.startsWith(prefix)) return undefined;
  const body = id.slice(prefix.length);
  if (!/^[A-Za-z0-9_-]{31}$/.test(body)) return undefined;
  const bytes = Buffer.from(body, 'base64url');
  if (bytes.length !== BYTES) return undefined;
  return {
    owner: bytes[0],
    generation: bytes.readUInt16LE(1),
    nonce: new Uint8Array(bytes.subarray(3, 3 + NONCE_BYTES)),
    tag: bytes.readUInt32LE(3 + NONCE_BYTES),
  };
}
