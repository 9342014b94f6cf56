/** What the streams of one worker work with: made once, handed to each. Everything of the world comes in here. */
import type { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Clock, Random } from '../policy/ports.ts';
import type { RetryBudget } from '../policy/retry.ts';
import type { EventSink } from '../protocol/events.ts';
import type { Provider } from '../protocol/provider.ts';
import type { SocketTransport } from '../protocol/socket-transport.ts';
import type { Transport } from '../protocol/transport.ts';
import type { Fact } from '../threads/facts.ts';
import type { Affinity } from './affinity.ts';
import type { Alarms } from './alarms.ts';
import type { Attempt } from './attempt.ts';
import type { Budgets } from './budgets.ts';
import type { Errands } from './errands.ts';
import type { HookCalls } from './hook-calls.ts';
import type { KeyRing } from './key-ring.ts';
import type { Modules } from './modules.ts';
import type { PlaceQueue } from './place-queue.ts';
import type { IdleSockets } from './proxy/idle-sockets.ts';
import type { RequestLimits } from './request-limits.ts';
import type { Route } from './route.ts';
import type { Tally } from './tally.ts';

export interface Means {
  /** This worker's number. */
  readonly worker: number;
  readonly options: Options;
  readonly clock: Clock;
  readonly random: Random;
  readonly alarms: Alarms;
  /** Once the loop has had its turn. */
  soon(task: () => void): void;
  readonly transport: Transport;
  readonly providers: Readonly<Record<string, Provider>>;
  readonly modules: Modules;
  /** Absent: the user has none. */
  readonly hooks: HookCalls | undefined;
  /** Puts the merging stage in front of an encoder. */
  coalesce(next: EventSink, onMerged: () => void): EventSink;
  readonly route: Route;
  /** The line for places. */
  readonly queue: PlaceQueue;
  /** The WebSocket back ends, the way to them, and what is kept of it between clients. */
  readonly backEnds: Route;
  readonly sockets: SocketTransport;
  readonly idleSockets: IdleSockets;
  readonly limits: RequestLimits;
  readonly budgets: Budgets;
  readonly affinity: Affinity;
  readonly keys: KeyRing;
  readonly budget: RetryBudget;
  /** Second attempts that run beside a first one. */
  readonly hedges: RetryBudget;
  readonly tally: Tally;
  /** Attempts whose stream is over and whose body is still ending. */
  readonly lingering: Set<Attempt>;
  readonly errands: Errands;
  publish(fact: Fact): void;
  /** Something threw that should not: said once, the stream fails. */
  fault(where: string, error: MillraceError): void;
}
