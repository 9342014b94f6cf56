/**
 * 64 bits of a text, begun with a random number nobody outside knows: so that nobody can choose keys that fall together. Two multiplicative lanes with the finalizer of
 * MurmurHash3 (public domain); no message authentication, just distribution.
 */

/** Receives the two halves: one object, so that hashing makes none. */
export interface HashHalves {
  high: number;
  low: number;
}

export function hashKey(text: string, seed: number, into: HashHalves): void {
  let high = seed ^ 0x9e3779b9;
  let low = Math.imul(seed, 0x85ebca6b) ^ text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    high ^= high >>> 15;
    low = Math.imul(low ^ unit, 0x5f356495);
    low = (low << 13) | (low >>> 19);
  }
  into.high = finish(high ^ Math.imul(low, 0x27d4eb2f));
  into.low = finish(low ^ Math.imul(high, 0x165667b1));
}

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
