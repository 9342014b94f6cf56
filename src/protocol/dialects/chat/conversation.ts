/**
 * One session of the guide's chat: `{"message":"…"}` asks (with an optional `model`), `{"cancel":true}` stops. The session
 * remembers what was said, up to a bound; the oldest exchanges go first.
 */
import { MillraceError } from '../../../errors.ts';
import type {
  ClientMessage,
  Command,
  Conversation,
  DialectBounds,
  FrameSink,
  ModelList,
  Opening,
  Turn,
} from '../../dialect.ts';
import { formatId } from '../../ids.ts';
import type { Message } from '../../request.ts';
import type { EscapedText } from '../escaped-text.ts';
import { type Fields, slice } from '../fields.ts';
import { messageTrace } from '../message-trace.ts';
import { readMessage } from '../read-message.ts';
import { ChatEncoder } from './encoder.ts';
import { errorFrame } from './error-frame.ts';

/** Counted for every exchange beside its text. */
const EXCHANGE_BYTES = 256;
const MODEL_CHARS_MAX = 128;

interface Exchange {
  readonly asked: string;
  readonly answered: string;
  readonly bytes: number;
}

export class ChatConversation implements Conversation {
  readonly #bounds: DialectBounds;
  readonly #models: ModelList;
  readonly #past: Exchange[] = [];
  #heldBytes = 0;

  constructor(bounds: DialectBounds, models: ModelList) {
    this.#bounds = bounds;
    this.#models = models;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  decode(message: ClientMessage): Command {
    try {
      const fields = readMessage(message);
      if (fields.boolean('cancel') === true) {
        const error = new MillraceError('MILLRACE_RESPONSE_NOT_FOUND', {});
        return { kind: 'cancel', lane: '', unmatched: errorFrame(error) };
      }
      const detail = fields.text('message');
      const model = this.#model(fields);
      const responseId = formatId('chat_', message.seed);
      const trace = messageTrace(fields);
      const turn = { lane: '', model, responseId, detail, ...(trace && { trace }) };
      return { kind: 'turn', turn };
    } catch (thrown) {
      if (!(thrown instanceof MillraceError)) throw thrown;
      const frames = [errorFrame(thrown)];
      const code = thrown.failure.close;
      return code === undefined
        ? { kind: 'reply', frames }
        : { kind: 'close', code, reason: thrown.message, frames };
    }
  }

  begin(turn: Turn, out: FrameSink): Opening {
    const asked = turn.detail as string;
    const messages = this.#past.flatMap((exchange) => [
      said('user', exchange.asked),
      said('assistant', exchange.answered),
    ]);
    messages.push(said('user', asked));
    const encoder = new ChatEncoder(this.#bounds, out, {
      id: turn.responseId,
      model: turn.model,
      headers: turn.headers,
      remember: (answer) => this.#remember(asked, answer),
    });
    return { kind: 'run', request: { model: turn.model, messages }, encoder };
  }

  refuse({ headers }: Turn, error: MillraceError): Uint8Array {
    return errorFrame(error, headers);
  }

  /** The first model is the default: the guide's client names none. */
  #model(fields: Fields): string {
    const model = fields.string('model') ?? this.#models.names[0] ?? '';
    if (this.#models.has(model)) return model;
    throw new MillraceError('MILLRACE_MODEL_NOT_FOUND', {
      model: slice(model, MODEL_CHARS_MAX),
      available: this.#models.names.slice(0, 20).join(', ') || 'none',
    });
  }

  #remember(asked: string, answer: EscapedText): void {
    if (answer.length === 0) return;
    const bytes = EXCHANGE_BYTES + Buffer.byteLength(asked) + answer.length;
    // What came before an exchange that alone is too large would be a conversation with a hole.
    while (this.#past.length > 0 && this.#heldBytes + bytes > this.#bounds.historyBytesMax)
      this.#heldBytes -= this.#past.shift()?.bytes ?? 0;
    if (bytes > this.#bounds.historyBytesMax) return;
    this.#past.push({ asked, answered: answer.decode(), bytes });
    this.#heldBytes += bytes;
  }
}

function said(role: 'user' | 'assistant', text: string): Message {
  return { role, content: [{ type: 'text', text }] };
}
