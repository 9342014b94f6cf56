/**
 * A route of the user's own: an async generator from one client message to the frames that answer it. The same contract in a worker
 * (given as a module) and on main (given as a function).
 */
import type { FinishReason, Usage } from './events.ts';
import type { Message, ModelRequest } from './request.ts';

/** One message of the client. */
export interface RouteRequest {
  /** Unguessable, one per message; the same when the message runs again after its worker died. */
  readonly id: string;
  readonly binary: boolean;
  /** A copy: the handler may keep and change it. */
  readonly bytes: Uint8Array;
  /** The bytes as UTF-8. */
  readonly text: string;
  /** The text as JSON; undefined when it is none, and for binary messages. */
  readonly json: unknown;
}

/** Who asks. One object for all messages of a session. */
export interface RouteSession {
  readonly path: string;
  /** Hash of the key, what `onAuth` said, or 'anonymous'. */
  readonly principal: string;
  readonly address: string;
  /** Whatever the handler wants to remember between messages. Gone with the session, and with the thread it lives on. */
  readonly state: Map<string, unknown>;
}

/** A piece of an upstream's answer. Texts are decoded; pieces that were ready together may be one. */
export type StreamPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string }
  | { readonly type: 'refusal'; readonly text: string }
  /** A tool call begins; its arguments follow with the same index. */
  | { readonly type: 'tool'; readonly index: number; readonly id: string; readonly name: string }
  | { readonly type: 'arguments'; readonly index: number; readonly text: string }
  | ({ readonly type: 'usage' } & Usage)
  /** The last part. */
  | { readonly type: 'finish'; readonly reason: FinishReason; readonly upstream: string };

/** What is asked of an upstream: a ModelRequest in which text may stand as it is. */
export type StreamRequest = Omit<ModelRequest, 'model' | 'messages'> & {
  /** May be left out where the options name exactly one model. */
  readonly model?: string;
  /** A text alone is one message of the user. */
  readonly messages: string | readonly (Message | ShortMessage)[];
};

export interface ShortMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant';
  readonly content: string;
}

/**
 * A running answer: pulled by `for await`. It ends after `finish`, or throws the one MillraceError it failed with; leaving the loop closes
 * the upstream's socket. What is not pulled holds the upstream back.
 */
export interface UpstreamStream extends AsyncIterableIterator<StreamPart> {
  /** Only the text of the answer. */
  text(): AsyncIterableIterator<string>;
  return(): Promise<IteratorResult<StreamPart>>;
}

export interface RouteUpstream {
  /**
   * Asks the upstreams that serve the model, with the engine's limits, clocks, retries, and failover until the first part.
   *
   * @throws MILLRACE_FIELD_INVALID for a request that is none; everything else comes out of the iteration.
   */
  stream(request: StreamRequest, options?: { readonly signal?: AbortSignal }): UpstreamStream;
}

export interface RouteContext {
  readonly upstream: RouteUpstream;
  /** Aborted when the client has left or the engine stops. */
  readonly signal: AbortSignal;
  readonly session: RouteSession;
}

/** A string becomes a text frame, bytes a binary one, an object a text frame of its JSON. */
export type RouteYield = string | Uint8Array | object;

/**
 * Answers one message. It is pulled only while the client has room; the messages of a session are handled one after another. What it
 * throws ends the answer with one frame `{"error":{"code","message","retry"}}`; the session stays.
 */
export type RouteHandler = (
  request: RouteRequest,
  context: RouteContext,
) => AsyncIterable<RouteYield> | Iterable<RouteYield>;
