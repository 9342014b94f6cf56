/** What a worker's relay is made of: shared memory, the world, what is configured. */
import type {
  CounterBlock,
  Ledger,
  LimitTable,
  ReservationBook,
  RingConsumer,
  RingProducer,
  SessionCells,
  Slab,
  ThreadCells,
  UpstreamTable,
} from '../memory/contract.ts';
import type { Options } from '../options/schema.ts';
import type { Clock, Random, Ticker } from '../policy/ports.ts';
import type { Seat } from '../policy/upstream-roster.ts';
import type { Dialect } from '../protocol/dialect.ts';
import type { EventSink } from '../protocol/events.ts';
import type { Provider } from '../protocol/provider.ts';
import type { SocketTransport } from '../protocol/socket-transport.ts';
import type { Transport } from '../protocol/transport.ts';
import type { Fact } from '../threads/facts.ts';
import type { JobName } from './jobs.ts';
import type { Modules } from './modules.ts';

export interface RelayParts {
  readonly worker: number;
  readonly generation: number;
  readonly options: Options;
  readonly seats: readonly Seat[];
  readonly clock: Clock;
  readonly random: Random;
  readonly ticker: Ticker;
  readonly transport: Transport;
  readonly sockets: SocketTransport;
  readonly providers: Readonly<Record<string, Provider>>;
  readonly dialects: Readonly<Record<string, Dialect>>;
  /** Code of the user's; absent: none. */
  readonly modules?: Modules;
  coalesce(next: EventSink, onMerged: () => void): EventSink;
  readonly up: RingConsumer;
  readonly down: RingProducer;
  readonly slab: Slab;
  readonly sessions: SessionCells;
  readonly threads: ThreadCells;
  readonly table: UpstreamTable;
  readonly ledger: Ledger;
  readonly limits: LimitTable;
  readonly reservations: ReservationBook;
  readonly counters: CounterBlock;
  /** Runs one of jobs.ts elsewhere. */
  job(name: JobName, argument: unknown): Promise<unknown>;
  publish(fact: Fact): void;
}
