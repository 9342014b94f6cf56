/** millrace as a library. */
export {
  type Address,
  type AttachableServer,
  type Attachment,
  createEngine,
  type Engine,
  type EngineExtras,
  type Log,
  type Metrics,
  type MetricsRegistry,
  type Otel,
  type OtelApi,
  type Readiness,
  type Socket,
  type SocketFacts,
  type SocketHandlers,
  type SocketMessage,
  type SocketSent,
  SpanIds,
  type Status,
} from './engine/engine.ts';
export { type Code, codes, MillraceError, type Retry } from './errors.ts';
export type { Options, UserOptions } from './options/schema.ts';
