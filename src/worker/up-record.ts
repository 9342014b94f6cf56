/** Reads a `message` record: out of shared memory first, then everything else. */
import type { Slab } from '../memory/contract.ts';
import { readTicket } from '../memory/large-record.ts';
import type { ClientMessage } from '../protocol/dialect.ts';
import { MESSAGE_PROLOGUE_BYTES } from '../threads/messages.ts';

/** With a slab, the payload is a ticket for it, which is given back here. */
export function readMessage(
  payload: Uint8Array,
  binary: boolean,
  slab: Slab | undefined,
): { message: ClientMessage; skip: number; paid: number } {
  const whole = slab ? redeem(payload, slab) : new Uint8Array(payload);
  const view = new DataView(whole.buffer, whole.byteOffset, MESSAGE_PROLOGUE_BYTES);
  const seed = {
    nonce: whole.slice(0, 16),
    owner: view.getUint16(24, true),
    generation: view.getUint16(26, true),
    tag: view.getUint32(32, true),
  };
  const arrivedMs = view.getFloat64(16, true);
  const bytes = whole.subarray(MESSAGE_PROLOGUE_BYTES);
  const message = { bytes, binary, seed, arrivedMs };
  return { message, skip: view.getUint32(28, true), paid: view.getUint32(36, true) };
}

function redeem(payload: Uint8Array, slab: Slab): Uint8Array {
  const ticket = readTicket(payload);
  const copy = new Uint8Array(slab.view(ticket));
  slab.free(ticket);
  return copy;
}
