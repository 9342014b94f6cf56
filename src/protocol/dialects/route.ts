/**
 * The dialect of routes given by the user: any message is a turn, its handler says what the frames are. millrace itself says one kind
 * of frame here, the error: `{"error":{"code","message","retry"}}`.
 */
import type { MillraceError } from '../../errors.ts';
import type { ClientMessage, Conversation, Dialect } from '../dialect.ts';
import { formatId } from '../ids.ts';
import type { RouteRequest } from '../route.ts';
import { slice } from './fields.ts';

const MESSAGE_CHARS_MAX = 2_000;

export const route: Dialect = {
  name: 'route',
  binary: true,
  conversation: () => conversation,
  complain: (error) => errorFrame(error),
};

/** It remembers nothing: one for all sessions. */
const conversation: Conversation = {
  heldBytes: 0,
  decode(message) {
    const responseId = formatId('route_', message.seed);
    const detail = new ReadMessage(responseId, message);
    return { kind: 'turn', turn: { lane: '', model: '', responseId, detail } };
  },
  begin: (turn) => ({ kind: 'handle', request: turn.detail as RouteRequest }),
  refuse: (_turn, error) => errorFrame(error),
};

/** `code` and `message` of the user's own, where it wants to be read by clients. */
export function errorFrame(
  { code, message, failure }: MillraceError,
  own: { readonly code?: string; readonly message?: string } = {},
): Uint8Array {
  const error = {
    code: own.code ?? code,
    message: slice(own.message ?? message, MESSAGE_CHARS_MAX),
    retry: failure.retry,
  };
  return Buffer.from(JSON.stringify({ error }));
}

/** Decodes when asked: a handler that passes bytes on never pays for text. */
class ReadMessage implements RouteRequest {
  readonly id: string;
  readonly binary: boolean;
  readonly bytes: Uint8Array;
  #text: string | undefined;
  #json: unknown;
  #isRead: boolean;

  constructor(id: string, { bytes, binary, parsed }: ClientMessage) {
    this.id = id;
    this.binary = binary;
    this.bytes = bytes;
    this.#json = parsed;
    this.#isRead = binary || parsed !== undefined;
  }

  get text(): string {
    const { buffer, byteOffset, byteLength } = this.bytes;
    this.#text ??= Buffer.from(buffer, byteOffset, byteLength).toString();
    return this.#text;
  }

  get json(): unknown {
    if (this.#isRead) return this.#json;
    this.#isRead = true;
    try {
      this.#json = JSON.parse(this.text);
    } catch {
      this.#json = undefined;
    }
    return this.#json;
  }
}
