/** What a simulated upstream can be told at its start. */
import { MillraceError } from '../errors.ts';
import { type Faults, parseFaults } from './faults.ts';

export interface SimulatedOptions {
  /** In headers and in `only=` of faults. Default `simulated`. */
  readonly name?: string;
  /** Answers follow from it and from the request's number. Default 1. */
  readonly seed?: number;
  /** Models served; others get `model_not_found`. Default `demo`. */
  readonly models?: readonly string[];
  /** Mean speed of an answer; Infinity sends everything at once. Default 60. */
  readonly tokensPerSecond?: number;
  /** Mean time to the first token. Default 150. */
  readonly firstTokenMs?: number;
  /** Mean length of an answer, tokens. Default 120. */
  readonly meanTokens?: number;
  /** Deviation of the logarithm of all waiting times; 0 makes them exact. Default 0.4. */
  readonly jitter?: number;
  /** Default 0: a free one. */
  readonly port?: number;
  /** Faults of every request: text as in the header `x-simulate`, or the parsed form. */
  readonly faults?: string | Faults;
  /** Longest request body. Default 17 MiB. */
  readonly bodyBytesMax?: number;
  /** Answers running at once; above it requests get 503. Default 65,536. */
  readonly streamsMax?: number;
  /** Entries the journal keeps. Default 10,000. */
  readonly journalEntriesMax?: number;
}

const MiB = 1024 * 1024;

const defaults = {
  name: 'simulated',
  seed: 1,
  models: ['demo'] as readonly string[],
  tokensPerSecond: 60,
  firstTokenMs: 150,
  meanTokens: 120,
  jitter: 0.4,
  port: 0,
  faults: {} as Faults,
  bodyBytesMax: 17 * MiB,
  streamsMax: 65_536,
  journalEntriesMax: 10_000,
};
export type ResolvedOptions = Readonly<typeof defaults>;

/** Fills in the defaults. Throws MILLRACE_FIELD_INVALID. */
export function resolveSimulated(options: SimulatedOptions): ResolvedOptions {
  const { faults = {}, ...rest } = options;
  const resolved = {
    ...defaults,
    ...rest,
    faults: typeof faults === 'string' ? parseFaults(faults) : faults,
  };
  checkPositive('tokensPerSecond', resolved.tokensPerSecond);
  return resolved;
}

function checkPositive(path: string, value: number): void {
  if (value > 0) return;
  throw new MillraceError('MILLRACE_FIELD_INVALID', { path, expected: 'above 0', got: value });
}
