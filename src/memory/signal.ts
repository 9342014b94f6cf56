/**
 * Who looks at a ring, and when: at a bell, then again as long as there is work, then a few idle turns more, then it sleeps.
 *
 *            ring()                         nothing, turnsMax times
 *     asleep ───────▶ turning ──┬─ records ─▶ turning (soon)  ───────────▶ consumer.sleep() ─┬─ true ─▶ asleep
 *                        ▲      └─ nothing ─▶ turning (soon, counted)                        │
 *                        └──────────────────────────── false: something came ◀───────────────┘
 *
 * Who writes: the reader's thread alone, through the consumer's `asleep` word, which also orders it (see ring.ts): a bell is
 * rung only for a reader that said it sleeps, so a busy ring costs no bell at all.
 */
import type { RingConsumer } from './contract.ts';

export interface Pump {
  /** The bell: drains now. Harmless while it turns already. */
  ring(): void;
  /** No turns any more. */
  stop(): void;
}

export interface PumpParts {
  readonly consumer: Pick<RingConsumer, 'sleep' | 'wake'>;
  /** Handles some records; returns how many. */
  drain(): number;
  /** Runs a task when the loop is free (setImmediate; the event heap in the simulation). */
  soon(task: () => void): void;
  /** Turns that found nothing before the reader sleeps. */
  readonly turnsMax: number;
}

/** Starts asleep, or turning when something is there already. */
export function createPump(parts: PumpParts): Pump {
  let state: 'asleep' | 'waiting for a turn' | 'in a turn' | 'stopped' = 'asleep';
  let idle = 0;

  function again(): void {
    if (state === 'stopped') return;
    state = 'waiting for a turn';
    parts.soon(turn);
  }

  function turn(): void {
    if (state === 'stopped') return;
    state = 'in a turn';
    let handled = 0;
    try {
      handled = parts.drain();
    } catch (error) {
      // What was read is given back; the rest is looked at in the next turn, if this thread outlives the bug.
      again();
      throw error;
    }
    idle = handled > 0 ? 0 : idle + 1;
    settle();
  }

  /** Sleeps after enough idle turns, else goes on. */
  function settle(): void {
    if (isStopped()) return;
    if (idle < parts.turnsMax) return again();
    idle = 0;
    if (parts.consumer.sleep()) state = 'asleep';
    else again();
  }

  // A drain may stop its own pump, which control flow analysis cannot see.
  function isStopped(): boolean {
    return state === 'stopped';
  }

  if (!parts.consumer.sleep()) again();

  return {
    ring() {
      if (state !== 'asleep') return;
      parts.consumer.wake();
      turn();
    },
    stop() {
      state = 'stopped';
    },
  };
}
