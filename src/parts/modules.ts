/**
 * What modules of your own are written with: types, and functions that give them. Light: a worker that loads it loads no server with it.
 * Worker modules import it as `millrace/modules`.
 */
import type { Dialect } from '../protocol/dialect.ts';
import type { Hooks } from '../protocol/hooks.ts';
import type { Provider } from '../protocol/provider.ts';
import type { RouteHandler } from '../protocol/route.ts';

export { type Code, MillraceError } from '../errors.ts';
export type {
  ClientMessage,
  Command,
  Conversation,
  Dialect,
  DialectBounds,
  Encoder,
  FrameSink,
  ModelList,
  Opening,
  Turn,
} from '../protocol/dialect.ts';
export { FrameFlag } from '../protocol/dialect.ts';
export { Delta, type EventSink, type FinishReason, type Usage } from '../protocol/events.ts';
export type {
  AuthRequest,
  AuthVerdict,
  Finished,
  Hooks,
  RequestAsked,
  RequestVerdict,
} from '../protocol/hooks.ts';
export type {
  Decoder,
  DecoderBounds,
  HeaderReader,
  Provider,
  ProviderRequest,
  UpstreamFacts,
} from '../protocol/provider.ts';
/** Decoded text on its way to a sink: escapes it, and keeps halves of surrogate pairs together. */
export { TextOut } from '../protocol/providers/text-out.ts';
export type { Message, ModelRequest } from '../protocol/request.ts';
export type {
  RouteContext,
  RouteHandler,
  RouteRequest,
  RouteSession,
  RouteUpstream,
  RouteYield,
  StreamPart,
  StreamRequest,
  UpstreamStream,
} from '../protocol/route.ts';

/** A route: an async generator from one client message to the frames that answer it. The default export of a module of `routes`. */
export const defineRoute = (handler: RouteHandler): RouteHandler => handler;

/** Hooks: the default export of the module of `hooks`. */
export const defineHooks = (hooks: Hooks): Hooks => hooks;

/** An upstream protocol: the default export of a module of `providers`. */
export const defineProvider = (provider: Provider): Provider => provider;

/** A client protocol: the default export of a module of `dialects`. */
export const defineDialect = (dialect: Dialect): Dialect => dialect;
