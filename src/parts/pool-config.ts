/** What a ConnectionPool is told, by the guide's names, and what it does when it is told nothing. */
import { MillraceError } from '../errors.ts';
import type { Clock } from '../policy/ports.ts';
import { sharedNow } from '../threads/shared-now.ts';
import type { LoadBalanceStrategy } from './load-balancer.ts';

export interface PoolConfig<C> {
  /** Connections that are kept open, used or not. Default 5. */
  readonly minConnections?: number;
  /** Default 50. */
  readonly maxConnections?: number;
  /** Default: LeastConnections. */
  readonly loadBalanceStrategy?: LoadBalanceStrategy;
  /** Let the number of connections follow the load, between the two. Default: true. */
  readonly enableAutoScaling?: boolean;
  /** Share of the connections in use from which there will be more. Default 0.8. */
  readonly scaleUpThreshold?: number;
  /** Share of the connections in use from which, after some time, there will be fewer. Default 0.2. */
  readonly scaleDownThreshold?: number;
  /** Time between two checks of a connection, give or take a tenth. Default 5000. */
  readonly healthCheckIntervalMs?: number;
  /** Who may use one connection at once. Default: any number. */
  readonly usersPerConnectionMax?: number;
  /** Who may wait for a connection; further ones are refused. Default 1024. */
  readonly waitersMax?: number;
  /** Longest wait. Default 10000. */
  readonly waitTimeoutMs?: number;
  /** Without auto-scaling: a connection above `minConnections` that nobody used for so long is closed. 0: never. Default 60000. */
  readonly idleTimeoutMs?: number;
  /** A connection that is so old is replaced when nobody uses it, up to a tenth earlier. 0: never (the default). */
  readonly ageMsMax?: number;
  /** Opens a connection. Absent: the pool opens none by itself, or, for `ConnectionPool<undefined>`, its connections are only counted. */
  readonly open?: () => C | Promise<C>;
  /** Whether it still works; false, or a rejection, takes it out of the pool. */
  readonly check?: (connection: C) => boolean | Promise<boolean>;
  /** Closes a connection that leaves the pool. */
  readonly close?: (connection: C) => void | Promise<void>;
}

export interface FailoverConfig {
  /** Attempts after the first. Default 3. */
  readonly maxRetries?: number;
  /** Base of the jittered wait before the same connection is tried again. Default 100. */
  readonly retryDelayMs?: number;
  /** Leave a connection alone for a while when its uses fail. Default: true. */
  readonly enableCircuitBreaker?: boolean;
  /** Failures in a row that open the circuit of a connection. Default 5. */
  readonly circuitBreakerThreshold?: number;
  /** How long it stays open; longer each time it fails again. Default 30000. */
  readonly circuitBreakerTimeoutMs?: number;
}

/** Time, chance and timers: for tests that do not want to wait. */
export interface PoolWorld {
  readonly clock: Pick<Clock, 'now'>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Calls once after `ms`; returns its cancel. */
  readonly after: (ms: number, task: () => void) => () => void;
}

/** The machine's. Its timers keep no process alive. */
export const realWorld: PoolWorld = {
  clock: { now: sharedNow },
  random: Math.random,
  after(ms, task) {
    const timer = setTimeout(task, ms).unref();
    return () => clearTimeout(timer);
  },
};

type Needed = 'open' | 'check' | 'close';
export type PoolSettings<C> = Required<Omit<PoolConfig<C>, Needed>> & Pick<PoolConfig<C>, Needed>;

const poolDefaults = {
  minConnections: 5,
  maxConnections: 50,
  loadBalanceStrategy: 'LeastConnections',
  enableAutoScaling: true,
  scaleUpThreshold: 0.8,
  scaleDownThreshold: 0.2,
  healthCheckIntervalMs: 5_000,
  usersPerConnectionMax: Infinity,
  waitersMax: 1_024,
  waitTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  ageMsMax: 0,
} as const;

const failoverDefaults = {
  maxRetries: 3,
  retryDelayMs: 100,
  enableCircuitBreaker: true,
  circuitBreakerThreshold: 5,
  circuitBreakerTimeoutMs: 30_000,
} as const;

/** @throws MILLRACE_FIELD_INVALID */
export function poolSettings<C>(config: PoolConfig<C>): PoolSettings<C> {
  const settings = { ...poolDefaults, ...config };
  const { minConnections, maxConnections, scaleUpThreshold, scaleDownThreshold } = settings;
  want(settings, 'maxConnections', 'a positive integer', isCount(maxConnections, 1));
  const isMin = isCount(minConnections, 0) && minConnections <= maxConnections;
  want(settings, 'minConnections', 'an integer from 0 to maxConnections', isMin);
  want(settings, 'scaleUpThreshold', 'more than 0, at most 1', isShare(scaleUpThreshold));
  const isBelow = scaleDownThreshold >= 0 && scaleDownThreshold < scaleUpThreshold;
  want(settings, 'scaleDownThreshold', 'less than scaleUpThreshold', isBelow);
  want(settings, 'usersPerConnectionMax', 'at least 1', settings.usersPerConnectionMax >= 1);
  const isInterval = settings.healthCheckIntervalMs > 0;
  want(settings, 'healthCheckIntervalMs', 'more than 0', isInterval);
  for (const name of ['waitersMax', 'waitTimeoutMs', 'idleTimeoutMs', 'ageMsMax'] as const)
    want(settings, name, 'not negative', settings[name] >= 0);
  return settings;
}

/** @throws MILLRACE_FIELD_INVALID */
export function failoverSettings(config: FailoverConfig): Required<FailoverConfig> {
  const settings = { ...failoverDefaults, ...config };
  want(settings, 'maxRetries', 'an integer, not negative', isCount(settings.maxRetries, 0));
  want(settings, 'retryDelayMs', 'not negative', settings.retryDelayMs >= 0);
  const isThreshold = isCount(settings.circuitBreakerThreshold, 1);
  want(settings, 'circuitBreakerThreshold', 'a positive integer', isThreshold);
  const isTimeout = settings.circuitBreakerTimeoutMs > 0;
  want(settings, 'circuitBreakerTimeoutMs', 'more than 0', isTimeout);
  return settings;
}

const isCount = (value: number, min: number) => Number.isInteger(value) && value >= min;
const isShare = (value: number) => value > 0 && value <= 1;

function want<T>(settings: T, name: keyof T & string, expected: string, holds: boolean): void {
  if (holds) return;
  const got = String(settings[name]);
  throw new MillraceError('MILLRACE_FIELD_INVALID', { path: name, expected, got });
}
