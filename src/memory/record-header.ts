/** A record's header as one object that is filled and reused. Who writes, who reads: the one end of a ring that made it; nothing is shared. */
import type { RecordHeader } from './contract.ts';

/** A header to be filled and reused: a hot path makes none per record. */
export function blankHeader(): RecordHeader {
  return {
    length: 0,
    kind: 0,
    flags: 0,
    slot: 0,
    generation: 0,
    stream: 0,
    sequence: 0,
    aux0: 0,
    aux1: 0,
  };
}
