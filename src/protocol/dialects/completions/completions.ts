/** OpenAI's Chat Completions API over HTTP (`POST /v1/chat/completions`): chunks as Server-Sent Events, or one object. */
import type { Dialect } from '../../dialect.ts';
import { errorAnswer } from '../http/error-answer.ts';
import { PostConversation, type PostForm } from '../http/post-conversation.ts';
import { ChunkEncoder } from './chunk-encoder.ts';
import { type CompletionRequest, readCompletion } from './request.ts';
import { WholeCompletion } from './whole-completion.ts';

export const completions: Dialect = {
  name: 'completions',
  binary: false,
  conversation: (bounds, models) => new PostConversation(form, bounds, models),
  complain: (error) => errorAnswer(error),
};

const form: PostForm<CompletionRequest> = {
  idPrefix: 'chatcmpl-',
  read: readCompletion,
  request: ({ request }) => request,
  encoder({ model, stream, includeUsage }, { id, createdAt }, bounds, out) {
    const facts = { id, createdAt, model, includeUsage };
    return stream ? new ChunkEncoder(facts, bounds, out) : new WholeCompletion(facts, bounds, out);
  },
};
