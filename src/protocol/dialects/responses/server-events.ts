/** The events a client gets, as a table: docs/PROTOCOL.md is made from it, and a test holds it to what the encoder says. */

export interface ServerEvent {
  readonly type: string;
  /** Fields beside `type`, and `stream_id` on named lanes. */
  readonly fields: readonly string[];
  readonly text: string;
}

const part = ['sequence_number', 'item_id', 'output_index', 'content_index'];
const call = ['sequence_number', 'item_id', 'output_index'];
const item = ['sequence_number', 'output_index', 'item'];
const whole = ['sequence_number', 'response'];

export const responsesServerEvents: readonly ServerEvent[] = [
  { type: 'response.created', fields: whole, text: 'Opener: the request is accepted.' },
  { type: 'response.in_progress', fields: whole, text: 'Opener: its lane is free.' },
  {
    type: 'response.output_item.added',
    fields: item,
    text: 'A `message`, `reasoning` or `function_call` begins. From the first one on no other upstream is tried; `x_millrace` beside that one says which answers, and after how many attempts.',
  },
  {
    type: 'response.content_part.added',
    fields: [...part, 'part'],
    text: 'A part begins: `output_text`, `refusal` or `reasoning_text`.',
  },
  {
    type: 'response.output_text.delta',
    fields: [...part, 'logprobs', 'delta'],
    text: 'A piece of text.',
  },
  {
    type: 'response.output_text.done',
    fields: [...part, 'logprobs', 'text'],
    text: 'All of its text.',
  },
  { type: 'response.refusal.delta', fields: [...part, 'delta'], text: 'A piece of a refusal.' },
  { type: 'response.refusal.done', fields: [...part, 'refusal'], text: 'All of the refusal.' },
  {
    type: 'response.reasoning_text.delta',
    fields: [...part, 'delta'],
    text: 'A piece of what the model thinks, where the upstream shows it.',
  },
  { type: 'response.reasoning_text.done', fields: [...part, 'text'], text: 'All of it.' },
  { type: 'response.content_part.done', fields: [...part, 'part'], text: 'The part is over.' },
  {
    type: 'response.function_call_arguments.delta',
    fields: [...call, 'delta'],
    text: 'A piece of the arguments; those of several calls may interleave.',
  },
  {
    type: 'response.function_call_arguments.done',
    fields: [...call, 'name', 'arguments'],
    text: 'All arguments of one call, when the answer ends.',
  },
  { type: 'response.output_item.done', fields: item, text: 'The item is over.' },
  {
    type: 'response.completed',
    fields: whole,
    text: 'Terminal: the whole answer and its usage. `x_millrace` says who answered, `continued` when another upstream went on with an answer that had broken off, and, where limits hold, `headers` what is left (as `x-ratelimit-…` of HTTP).',
  },
  {
    type: 'response.incomplete',
    fields: whole,
    text: 'Terminal: `incomplete_details.reason` is `max_output_tokens`, `content_filter` or, an extension, `cancelled`.',
  },
  {
    type: 'response.failed',
    fields: whole,
    text: 'Terminal: `error` says what happened, `x_millrace` whether trying again helps, how many attempts were made and how much was delivered.',
  },
  {
    type: 'error',
    fields: ['status', 'error', 'x_millrace'],
    text: 'A message was refused, or its request never began. It has no sequence number; the session stays open.',
  },
  {
    type: 'response.steer.failed',
    fields: ['sequence_number', 'error', 'steer'],
    text: 'The answer to `response.steer`.',
  },
  {
    type: 'response.inject.failed',
    fields: ['sequence_number', 'response_id', 'error', 'input'],
    text: 'The answer to `response.inject`.',
  },
  {
    type: 'millrace.event.ignored',
    fields: ['event', 'error'],
    text: 'The answer to any other event: nothing happened, and whatever runs goes on. Not an `error`, because agents take one for the end of their response.',
  },
];
