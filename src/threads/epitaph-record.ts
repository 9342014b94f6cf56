/**
 * The payload of a record that says what main sends when the worker dies:
 *
 *     at + 1 u32 · length u32 · the frame that ends the answer · the frame that stands for the whole answer
 *
 * Worker writes, main reads. All of it is payload, because a record that is too large for the ring keeps none of its own words.
 */

export interface Epitaph {
  /** The frame that ends an answer of which the client has frames, without its sequence number. */
  readonly bytes: Uint8Array;
  /** Where in `bytes` the sequence number is spliced in; below 0: nowhere. */
  readonly at: number;
  /** The frame for a client that has no frame of the answer yet, when that is another one. */
  readonly unopened?: Uint8Array | undefined;
}

const HEAD = 8;

export function encodeEpitaph({ bytes, at, unopened }: Epitaph): Uint8Array {
  const payload = new Uint8Array(HEAD + bytes.byteLength + (unopened?.byteLength ?? 0));
  const words = new DataView(payload.buffer);
  words.setUint32(0, Math.max(at, -1) + 1, true);
  words.setUint32(4, bytes.byteLength, true);
  payload.set(bytes, HEAD);
  if (unopened) payload.set(unopened, HEAD + bytes.byteLength);
  return payload;
}

/** A copy: `payload` may be shared memory that is written again later. */
export function decodeEpitaph(payload: Uint8Array): Epitaph {
  const copy = new Uint8Array(payload);
  const words = new DataView(copy.buffer);
  const end = HEAD + words.getUint32(4, true);
  return {
    at: words.getUint32(0, true) - 1,
    bytes: copy.subarray(HEAD, end),
    unopened: end < copy.byteLength ? copy.subarray(end) : undefined,
  };
}
