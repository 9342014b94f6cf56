/** The newest changes of state and faults, for an operator who comes later: a ring, so that it never grows. */
import type { Fact } from '../threads/facts.ts';
import { redactText } from './log.ts';

export interface Event {
  /** Counts all events from 1: whoever asks again sees what it missed. */
  readonly number: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A few a stream or a session: they belong to the log and the metrics. */
const frequent: ReadonlySet<Fact['fact']> = new Set<Fact['fact']>([
  'stream-ended',
  'stream-lost',
  'session-ended',
  'handshake-refused',
  'attempt-failed',
]);

const TEXT_CHARS_MAX = 500;

export class EventRing {
  readonly #ring: Event[] = [];
  readonly #eventsMax: number;
  #number = 0;

  constructor(eventsMax: number) {
    this.#eventsMax = eventsMax;
  }

  /** Takes what is worth remembering; the rest passes. */
  fact(fact: Fact, wallMs: number): void {
    if (frequent.has(fact.fact)) return;
    const { fact: event, ...fields } = fact;
    this.add(event, fields, wallMs);
  }

  add(event: string, fields: object, wallMs: number): void {
    const short = Object.entries(fields).map(([name, value]) => [name, clipped(value)] as const);
    const time = new Date(wallMs).toISOString();
    this.#number += 1;
    if (this.#eventsMax === 0) return;
    if (this.#ring.length === this.#eventsMax) this.#ring.shift();
    this.#ring.push({ number: this.#number, time, event, ...Object.fromEntries(short) });
  }

  /** Oldest first. `total` counts those that were pushed out, too. */
  list(): { readonly total: number; readonly events: readonly Event[] } {
    return { total: this.#number, events: [...this.#ring] };
  }
}

function clipped(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const text = redactText(value);
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX)}…`;
}
