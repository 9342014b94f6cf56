/** The world of one life of the swarm, drawn from its seed: providers, limits, speeds, and some of all that may go wrong. */
import type { UserOptions } from '../../src/options/schema.ts';
import { below, type Chance, pick } from './played-upstream.ts';
import { type ClientDialect, clientDialects } from './swarm-client.ts';
import { type Manners, upstreamFaults } from './swarm-upstream.ts';

export const NAMES = ['a', 'b', 'c', 'd'];
export const PROVIDERS = ['openai-chat', 'openai-responses', 'anthropic', 'ollama'] as const;
export const STRATEGIES = [
  'RoundRobin',
  'LeastConnections',
  'WeightedRoundRobin',
  'Random',
  'P2C',
] as const;

/** What clients and operators may do, and what may die. */
export const disturbances = [
  'leave',
  'hold',
  'cancel',
  'kill worker',
  'kill coordinator',
  'hung start',
  'change',
  'rush',
] as const;
export type Disturbance = (typeof disturbances)[number];

/** Of some worlds; so wide that nobody is refused. Chosen by numbers that were drawn for something else: the lives of seeds stay as they were. */
const paced = { algorithm: 'LeakyBucket', maxBurst: 2_000, paced: true } as const;
const wide = { outputTokensPerMinute: 100_000_000, tokensPerDay: 100_000_000, streamsMax: 5_000 };
const limits: readonly NonNullable<UserOptions['limits']>[] = [
  {},
  {},
  { perKey: { ...paced, maxRequestsPerSecond: 50 } },
  {
    perKey: { algorithm: 'SlidingWindow', maxRequestsPerSecond: 5_000 },
    perModel: { ...paced, maxRequestsPerSecond: 10 },
  },
  { perKey: { maxRequestsPerSecond: 5_000, maxBurst: 5_000 }, tokens: { perKey: wide } },
];

export const limitsBy = (number: number) => limits[number % limits.length];

/** What a seed stands for. */
export interface World {
  readonly options: UserOptions;
  readonly manners: Manners;
  readonly disturbances: readonly Disturbance[];
  readonly dialects: readonly ClientDialect[];
  readonly lanes: number;
  readonly clients: number;
  readonly stepMs: number;
  readonly steps: number;
}

const some = <T>(chance: Chance, from: readonly T[], share = 0.5): T[] =>
  from.filter(() => chance.next() < share);
const atLeastOne = <T>(chance: Chance, from: readonly T[]): T[] => {
  const chosen = some(chance, from);
  return chosen.length > 0 ? chosen : [pick(chance, from)];
};

export function worldOf(chance: Chance): World {
  const providers = atLeastOne(chance, PROVIDERS);
  const names = NAMES.slice(0, 1 + below(chance, NAMES.length));
  const options: UserOptions = {
    upstreams: upstreamsOf(chance, names, providers),
    session: {
      creditBytes: pick(chance, [16, 16, 64]) * 1024,
      runningRequestsMax: 1 + below(chance, 4),
      queuedRequestsMax: pick(chance, [4, 64]),
    },
    memory: { ringBytes: 64 * 1024, slabBytes: 1024 * 1024 },
    threads: { heartbeatMs: 250, hungAfterMs: 2_000, startTimeoutMs: 2_000 },
    balance: {
      loadBalanceStrategy: pick(chance, STRATEGIES),
      circuitBreakerThreshold: pick(chance, [1, 2, 5]),
      circuitBreakerTimeoutMs: pick(chance, [50, 500, 5_000]),
      circuitBreakerProbes: pick(chance, [1, 2]),
      enableCircuitBreaker: chance.next() < 0.85,
      slowStartMs: pick(chance, [0, 1_000]),
    },
    stream: {
      connectTimeoutMs: 400,
      headersTimeoutMs: 800,
      firstDeltaTimeoutMs: 1_500,
      gapTimeoutMs: 1_000,
      finishGraceMs: 50,
      deadlineMs: pick(chance, [2_000, 5_000]),
      maxRetries: pick(chance, [0, 1, 3]),
      retryDelayMs: pick(chance, [0, 100]),
      eventBytesMax: 32 * 1024,
    },
  };
  const world = {
    manners: {
      faults: some(chance, upstreamFaults),
      failing: pick(chance, [0.1, 0.3, 0.5, 0.8]),
      meanMs: pick(chance, [1, 10, 60]),
      sliceBytes: pick(chance, [[1], [7, 60], [60, 400, 4_000], [4_000]]),
    },
    disturbances: some(chance, disturbances),
    dialects: atLeastOne(chance, clientDialects),
    lanes: 1 + below(chance, 3),
    clients: 1 + below(chance, 6),
    stepMs: pick(chance, [2, 20, 80]),
    steps: 60 + below(chance, 60),
  };
  return { ...world, options: { ...options, limits: limitsBy(world.steps) } };
}

export function upstreamsOf(
  chance: Chance,
  names: readonly string[],
  providers: readonly (typeof PROVIDERS)[number][],
) {
  return names.map((name) => {
    const provider = pick(chance, providers);
    const url = provider === 'ollama' ? `http://${name}.test` : `http://${name}.test/v1`;
    const maxConnections = pick(chance, [1, 2, 50]);
    return { name, url, provider, weight: 1 + below(chance, 4), maxConnections };
  });
}
