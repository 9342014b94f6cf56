/** OpenAI's Responses API over HTTP (`POST /v1/responses`): Server-Sent Events, or one object. */
import type { Dialect, ModelList } from '../../dialect.ts';
import type { ModelRequest } from '../../request.ts';
import { type Fields, unsupported } from '../fields.ts';
import { errorAnswer } from '../http/error-answer.ts';
import { PostConversation, type PostForm } from '../http/post-conversation.ts';
import { instructed, unmatchedOutput } from '../responses/conversation.ts';
import { type CreateRequest, readCreate } from '../responses/create.ts';
import type { ResponseFacts } from '../responses/response-object.ts';
import { StreamedResponse } from './streamed-response.ts';
import { WholeResponse } from './whole-response.ts';

interface Posted {
  readonly model: string;
  readonly create: CreateRequest;
  readonly stream: boolean;
}

export const responsesHttp: Dialect = {
  name: 'responses-http',
  binary: false,
  conversation: (bounds, models) => new PostConversation(form, bounds, models),
  complain: (error) => errorAnswer(error),
};

const form: PostForm<Posted> = {
  idPrefix: 'resp_',
  read,
  request: ({ create }): ModelRequest => ({
    ...create.settings,
    messages: [...instructed(create.instructions), ...create.input],
  }),
  encoder({ create, stream }, { id, createdAt }, bounds, out) {
    const facts: ResponseFacts = { id, createdAt, lane: '', stream: '', echo: create.echo };
    return stream
      ? new StreamedResponse(facts, bounds, out)
      : new WholeResponse(facts, bounds, out);
  },
};

/** Checked as over the WebSocket; refused is what needs a connection that lasts. */
function read(fields: Fields, models: ModelList): Posted {
  const stream = fields.boolean('stream') ?? false;
  fields.object('stream_options')?.boolean('include_obfuscation');
  if (fields.has('stream_id'))
    throw unsupported('stream_id', 'an HTTP request has one answer; the WebSocket has lanes');
  const create = readCreate(fields, models, false);
  if (create.previousId !== undefined)
    throw unsupported(
      'previous_response_id',
      'nothing is kept between HTTP requests; send the whole input, or use the WebSocket, which remembers its responses',
    );
  if (!create.generate) throw unsupported('generate', 'a warm-up is of use only on the WebSocket');
  const unmatched = unmatchedOutput([], create.input);
  if (unmatched !== undefined) throw unmatched;
  return { model: create.settings.model, create, stream };
}
