/** millrace as a library. */
export {
  type Address,
  createEngine,
  type Engine,
  type EngineExtras,
  type Log,
  type Metrics,
  type MetricsRegistry,
  type Otel,
  type OtelApi,
  type Readiness,
  SpanIds,
  type Status,
} from './engine/engine.ts';
export { type Code, codes, MillraceError, type Retry } from './errors.ts';
export type { Options, UserOptions } from './options/schema.ts';
