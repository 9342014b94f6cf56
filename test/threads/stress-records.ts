/** What both threads of the ring's stress test agree on. */
import type { SharedBytes } from '../../src/memory/contract.ts';

export interface Stress {
  readonly ring: SharedBytes;
  readonly slab: SharedBytes;
  readonly seed: number;
  readonly bytes: number;
  readonly owner: number;
}

/** Random numbers from 0 to 2^32 - 1, the same in both threads (mulberry32). */
function mulberry(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const noiseBytes = 256 * 1024;

/**
 * Records of random length and content, `bytes` in all: mostly small, some up to `payloadBytesMax` (and exactly 0 and it), one in
 * about 200 larger, for the slab.
 */
export function* stressRecords(
  seed: number,
  bytes: number,
  payloadBytesMax: number,
): Generator<{ sequence: number; payload: Uint8Array }, undefined> {
  const next = mulberry(seed);
  const noise = new Uint8Array(noiseBytes);
  for (let at = 0; at < noiseBytes; at++) noise[at] = next();
  let sent = 0;
  for (let sequence = 0; sent < bytes; sequence++) {
    const length = lengthFrom(next(), next(), payloadBytesMax);
    const from = next() % (noiseBytes - length);
    sent += length;
    yield { sequence, payload: noise.subarray(from, from + length) };
  }
  return undefined;
}

function lengthFrom(choice: number, random: number, payloadBytesMax: number): number {
  const kind = choice % 200;
  if (kind === 0) return payloadBytesMax + 1 + (random % 100_000);
  if (kind === 1) return payloadBytesMax;
  if (kind === 2) return 0;
  if (kind < 12) return random % (payloadBytesMax + 1);
  return random % Math.min(256, payloadBytesMax);
}
