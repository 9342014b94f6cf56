/** The head of a limit table: how large it is. Who writes: whoever allocates it, before anyone else sees it. Who reads: every thread, when it opens the table. Which word orders them: none, the hand-over does. */
import { must } from '../must.ts';
import { LIMIT_ROW_WORDS, LIMIT_SLOT_WORDS, LimitHead } from './layout.ts';

/** Slots that a key may lie in. */
export const PROBES = 16;
export const MAGIC = 0x6c696d74;
/** A row has two limits, of two words each. */
export const LOGS_PER_ROW = 2;

/** How many words a table has. */
export function wordsFor(slots: number, rows: number, logWords: number): number {
  must(slots >= PROBES && (slots & (slots - 1)) === 0, 'slots are a power of two from 16 on');
  const logs = (slots + LOGS_PER_ROW * rows) * logWords;
  return LimitHead.words + rows * LIMIT_ROW_WORDS + slots * LIMIT_SLOT_WORDS + logs;
}

/** Says in words that are all 0 what table they are. */
export function prepare(
  words: Int32Array,
  head: { slots: number; rows: number; seed: number; logWords: number },
): void {
  words[LimitHead.magic] = MAGIC;
  words[LimitHead.rows] = head.rows;
  words[LimitHead.slots] = head.slots;
  words[LimitHead.seed] = head.seed;
  words[LimitHead.logWords] = head.logWords;
}
