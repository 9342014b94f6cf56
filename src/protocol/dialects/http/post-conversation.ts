/** One HTTP request as a conversation of one turn: what both HTTP dialects share. It remembers nothing. */
import { MillraceError } from '../../../errors.ts';
import type {
  ClientMessage,
  Command,
  Conversation,
  DialectBounds,
  Encoder,
  FrameSink,
  ModelList,
  Opening,
  Turn,
} from '../../dialect.ts';
import { formatId } from '../../ids.ts';
import type { ModelRequest } from '../../request.ts';
import type { Fields } from '../fields.ts';
import { readMessage } from '../read-message.ts';
import { AdvisedSink } from './advised-sink.ts';
import { errorAnswer } from './error-answer.ts';

/** What differs between the two. */
export interface PostForm<R extends { readonly model: string }> {
  readonly idPrefix: string;
  /** Throws a MillraceError that names the field. */
  read(fields: Fields, models: ModelList): R;
  request(read: R): ModelRequest;
  encoder(read: R, facts: PostFacts, bounds: DialectBounds, out: FrameSink): Encoder;
}

export interface PostFacts {
  readonly id: string;
  /** Seconds. */
  readonly createdAt: number;
}

interface Detail<R> {
  readonly read: R;
  readonly createdAt: number;
}

export class PostConversation<R extends { readonly model: string }> implements Conversation {
  readonly heldBytes = 0;
  readonly #form: PostForm<R>;
  readonly #bounds: DialectBounds;
  readonly #models: ModelList;

  constructor(form: PostForm<R>, bounds: DialectBounds, models: ModelList) {
    this.#form = form;
    this.#bounds = bounds;
    this.#models = models;
  }

  decode(message: ClientMessage): Command {
    try {
      const read = this.#form.read(readMessage(message), this.#models);
      const detail: Detail<R> = { read, createdAt: Math.floor(message.arrivedMs / 1000) };
      const responseId = formatId(this.#form.idPrefix, message.seed);
      return { kind: 'turn', turn: { lane: '', model: read.model, responseId, detail } };
    } catch (thrown) {
      if (!(thrown instanceof MillraceError)) throw thrown;
      return { kind: 'reply', frames: [errorAnswer(thrown)] };
    }
  }

  begin(turn: Turn, out: FrameSink): Opening {
    const { read, createdAt } = turn.detail as Detail<R>;
    const facts = { id: turn.responseId, createdAt };
    const sink = turn.headers === undefined ? out : new AdvisedSink(out, turn.headers);
    const encoder = this.#form.encoder(read, facts, this.#bounds, sink);
    return { kind: 'run', request: this.#form.request(read), encoder };
  }

  refuse({ headers }: Turn, error: MillraceError): Uint8Array {
    return errorAnswer(error, headers);
  }
}
