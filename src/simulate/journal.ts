/** What was asked of the simulated upstream and how each request ended. Tests read it; it is bounded and never printed. */
import type { ChatRequest } from './chat-request.ts';
import type { Faults } from './faults.ts';

/**
 * `finished`: everything was handed to the socket. `fault`: it ended as a fault wanted. `client-closed`: the client left first.
 * `refused`: answered with an error status. `stopped`: the server was closed.
 */
export type Ending = 'running' | 'finished' | 'fault' | 'client-closed' | 'refused' | 'stopped';

export interface JournalEntry {
  /** Counted from 0: the number answers are made of. */
  readonly number: number;
  readonly server: string;
  /** As they came, credentials included: not for printing. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body as it came; '' when longer than the journal keeps. */
  readonly body: string;
  /** Absent when the body was not understood. */
  readonly request: ChatRequest | undefined;
  readonly faults: Faults;
  readonly status: number;
  readonly ending: Ending;
  /** Content deltas handed to the socket. */
  readonly tokensSent: number;
  readonly bytesSent: number;
  /** Times of the process's monotonic clock. */
  readonly receivedMs: number;
  readonly firstTokenMs: number | undefined;
  readonly endedMs: number | undefined;
}

export type JournalRow = { -readonly [K in keyof JournalEntry]: JournalEntry[K] };

const BODY_CHARACTERS_MAX = 64 * 1024;

export class Journal {
  readonly #entriesMax: number;
  readonly #rows: JournalRow[] = [];
  #requests = 0;

  /** The oldest fall out above `entriesMax`. */
  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  /** Oldest first. */
  get entries(): readonly JournalEntry[] {
    return this.#rows;
  }

  get last(): JournalEntry | undefined {
    return this.#rows.at(-1);
  }

  /** Requests ever, also those that fell out. */
  get requests(): number {
    return this.#requests;
  }

  get running(): number {
    return this.#rows.filter((row) => row.ending === 'running').length;
  }

  /** Forgets the entries; numbers go on. */
  clear(): void {
    this.#rows.length = 0;
  }

  open(
    server: string,
    headers: JournalEntry['headers'],
    body: string,
    receivedMs: number,
  ): JournalRow {
    const row: JournalRow = {
      number: this.#requests,
      server,
      headers,
      body: body.length > BODY_CHARACTERS_MAX ? '' : body,
      request: undefined,
      faults: {},
      status: 0,
      ending: 'running',
      tokensSent: 0,
      bytesSent: 0,
      receivedMs,
      firstTokenMs: undefined,
      endedMs: undefined,
    };
    this.#requests += 1;
    if (this.#rows.length >= this.#entriesMax) this.#rows.shift();
    if (this.#entriesMax > 0) this.#rows.push(row);
    return row;
  }
}
