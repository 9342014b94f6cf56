/**
 * A chat completion request, checked. fields.ts says what becomes of each field. Refused is only what would be answered wrongly in
 * silence; a value that means "as usual" is none of that.
 */
import type { ModelList } from '../../dialect.ts';
import type { ModelRequest } from '../../request.ts';
import { alternatives, type Fields, invalid, unsupported } from '../fields.ts';
import { unmatchedOutput } from '../responses/conversation.ts';
import { unknownModel } from '../responses/create.ts';
import { readToolChoice, readTools } from '../responses/tools.ts';
import { readMessages } from './messages.ts';

const STOPS_MAX = 4;

export interface CompletionRequest {
  readonly model: string;
  readonly request: ModelRequest;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

export function readCompletion(fields: Fields, models: ModelList): CompletionRequest {
  refuse(fields);
  const model = fields.text('model');
  if (!models.has(model)) throw unknownModel(model, models);
  const stream = fields.boolean('stream') ?? false;
  const options = fields.object('stream_options');
  const messages = readMessages(fields);
  const unmatched = unmatchedOutput([], messages, 'messages');
  if (unmatched !== undefined) throw unmatched;
  return {
    model,
    request: { model, messages, ...readSettings(fields) },
    stream,
    includeUsage: options?.boolean('include_usage') ?? false,
  };
}

function readSettings(fields: Fields): Partial<ModelRequest> {
  const found = {
    tools: readTools(fields),
    toolChoice: readToolChoice(fields),
    parallelToolCalls: fields.boolean('parallel_tool_calls'),
    temperature: fields.number('temperature', 0, 2),
    topP: fields.number('top_p', 0, 1),
    maxOutputTokens: fields.integer('max_completion_tokens', 1) ?? fields.integer('max_tokens', 1),
    reasoningEffort: fields.string('reasoning_effort'),
    responseFormat: readFormat(fields),
    stop: readStop(fields),
    seed: fields.integer('seed', Number.MIN_SAFE_INTEGER),
    user: fields.string('user') ?? fields.string('safety_identifier'),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

function refuse(fields: Fields): void {
  if ((fields.integer('n', 1, 128) ?? 1) > 1)
    throw unsupported('n', 'a request has one answer here; send it several times');
  if (fields.boolean('logprobs') === true || (fields.integer('top_logprobs', 0, 20) ?? 0) > 0)
    throw unsupported('logprobs', 'log probabilities do not pass through here');
  for (const name of ['frequency_penalty', 'presence_penalty'])
    if ((fields.number(name, -2, 2) ?? 0) !== 0)
      throw unsupported(name, 'it does not pass through here');
  const bias = fields.object('logit_bias');
  if (bias !== undefined && bias.names.length > 0)
    throw unsupported('logit_bias', 'it does not pass through here');
  for (const [name, instead] of olderWords)
    if (fields.has(name)) throw unsupported(name, `it was replaced by ${instead}`);
  const spoken = fields.list('modalities')?.some((modality) => modality !== 'text');
  if (spoken || fields.has('audio'))
    throw unsupported(spoken ? 'modalities' : 'audio', 'answers are text here');
  if (fields.has('web_search_options'))
    throw unsupported('web_search_options', 'searches run at a vendor');
}

const olderWords = [
  ['functions', 'tools'],
  ['function_call', 'tool_choice'],
] as const;

function readStop(fields: Fields): string[] | undefined {
  const value = fields.raw('stop');
  if (value === undefined) return undefined;
  const texts: unknown = typeof value === 'string' ? [value] : value;
  const fits =
    Array.isArray(texts) &&
    texts.length <= STOPS_MAX &&
    texts.every((text) => typeof text === 'string' && text !== '');
  if (!fits)
    throw invalid(fields.at('stop'), `a text or an array of at most ${STOPS_MAX} texts`, value);
  return texts.length === 0 ? undefined : (texts as string[]);
}

/** Passed on; only its shape is looked at. */
function readFormat(fields: Fields): unknown {
  const format = fields.object('response_format');
  if (format === undefined) return undefined;
  const types = ['text', 'json_object', 'json_schema'] as const;
  const type = format.oneOf('type', types);
  if (type === undefined) throw invalid(format.at('type'), alternatives(types), undefined);
  if (type === 'text') return undefined;
  if (type === 'json_object') return { type };
  const shape = format.object('json_schema');
  if (shape === undefined) throw invalid(format.at('json_schema'), 'an object', undefined);
  shape.text('name');
  const schema = shape.passed('schema');
  if (schema !== undefined && (typeof schema !== 'object' || Array.isArray(schema)))
    throw invalid(shape.at('schema'), 'a JSON Schema object', schema);
  return { type, json_schema: format.raw('json_schema') };
}
