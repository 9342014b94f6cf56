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
export {
  LlmStreamer,
  type LlmStreamerOptions,
  type LlmStreamerStats,
  type StreamSummary,
} from './parts/llm-streamer.ts';
export {
  type AuthRequest,
  type AuthVerdict,
  type Conversation,
  type Decoder,
  type Dialect,
  defineDialect,
  defineHooks,
  defineProvider,
  defineRoute,
  type Encoder,
  type Finished,
  type Hooks,
  type ModelRequest,
  type Provider,
  type RequestAsked,
  type RequestVerdict,
  type RouteContext,
  type RouteHandler,
  type RouteRequest,
  type StreamPart,
  type StreamRequest,
} from './parts/modules.ts';
export {
  RateLimiter,
  type RateLimiterOptions,
  type RateLimiterStats,
  type SharedRateLimiter,
} from './parts/rate-limiter.ts';
