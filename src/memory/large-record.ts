/**
 * Records too large for a ring: the payload lies in the slab, the ring carries a ticket for it, in order with everything else.
 *
 *     ring   … │ record │ ticket: block u32 · length u32 │ record │ …      header: flag TICKET, aux0 = the real length
 *                                │
 *     slab   ────────────────────▼─ payload ──────────────────────────
 *
 * Who writes: the ring's producer, into blocks claimed in the name of the worker that speaks over this ring (so that they are swept
 * when it dies). Who reads and frees: the ring's consumer. Which word orders it: the ring's `head`, published after the payload.
 */
import type { RecordHeader, RingProducer, Slab, Ticket } from './contract.ts';
import { Flag } from './layout.ts';

const TICKET_BYTES = 8;

/** Writes `length` bytes, which `fill` puts into place, through the slab. False when the ring or the slab has no space now. */
export function writeLarge(
  ring: RingProducer,
  slab: Slab,
  owner: number,
  header: RecordHeader,
  length: number,
  fill: (place: Uint8Array) => void,
): boolean {
  const place = ring.reserve(TICKET_BYTES);
  if (!place) return false;
  const ticket = slab.claim(length, owner);
  if (!ticket) {
    ring.abandon();
    return false;
  }
  fill(slab.view(ticket));
  const words = new DataView(place.buffer, place.byteOffset, TICKET_BYTES);
  words.setUint32(0, ticket.block, true);
  words.setUint32(4, ticket.length, true);
  header.flags |= Flag.ticket;
  header.aux0 = length;
  header.length = TICKET_BYTES;
  ring.commit(header);
  return true;
}

/** The ticket that is the payload of a record with the flag TICKET. */
export function readTicket(payload: Uint8Array): Ticket {
  const words = new DataView(payload.buffer, payload.byteOffset, TICKET_BYTES);
  return { block: words.getUint32(0, true), length: words.getUint32(4, true) };
}
