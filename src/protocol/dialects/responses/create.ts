/**
 * A `response.create`, checked. Its fields stand beside `type`, or under `response`: both shapes are in use.
 * client-events.ts says what becomes of each. Refused is only what would be answered wrongly in silence.
 */
import { MillraceError } from '../../../errors.ts';
import type { ModelList } from '../../dialect.ts';
import type { Message, ModelRequest } from '../../request.ts';
import type { TraceContext } from '../../trace-context.ts';
import { type Fields, invalid, slice, unsupported } from '../fields.ts';
import { messageTrace } from '../message-trace.ts';
import { readInput } from './input.ts';
import { readFormat, readToolChoice, readTools } from './tools.ts';

/** Longer instructions, tools and metadata are not repeated in the response object, which comes three times. */
const ECHO_CHARS_MAX = 64 * 1024;
const ID_CHARS_MAX = 128;
const MODELS_NAMED_MAX = 20;

export interface CreateRequest {
  readonly previousId?: string;
  /** False: a warm-up, remembered but not answered. */
  readonly generate: boolean;
  readonly store: boolean;
  readonly instructions?: string;
  readonly input: readonly Message[];
  readonly trace?: TraceContext;
  /** The request without its messages. */
  readonly settings: Omit<ModelRequest, 'messages'>;
  /** The response object's fields that repeat the request: `"a":1,"b":null`, without braces. */
  readonly echo: string;
}

/** `stores` false: said back as `store: false`, because nothing can be continued. */
export function readCreate(outer: Fields, models: ModelList, stores = true): CreateRequest {
  const request = outer.object('response') ?? outer;
  refuse(request);
  const model = request.text('model');
  if (!models.has(model)) throw unknownModel(model, models);
  const previousId = request.string('previous_response_id');
  const instructions = request.string('instructions');
  const generate = outer.boolean('generate') ?? request.boolean('generate') ?? true;
  const settings = readSettings(request, model);
  const input = readInput(request);
  const trace = messageTrace(request) ?? messageTrace(outer);
  if (generate && input.length === 0 && previousId === undefined)
    throw invalid(request.at('input'), 'a string or an array of items', request.raw('input'));
  return {
    ...(previousId === undefined ? {} : { previousId }),
    ...(instructions === undefined ? {} : { instructions }),
    ...(trace && { trace }),
    generate,
    store: request.boolean('store') ?? true,
    input,
    settings,
    echo: echoOf(request, settings, instructions, previousId, stores),
  };
}

function refuse(request: Fields): void {
  if (request.boolean('background') === true)
    throw unsupported(request.at('background'), 'an answer streams while its session is open');
  for (const name of ['conversation', 'prompt'])
    if (request.has(name))
      throw unsupported(request.at(name), 'nothing is stored here; send the input itself');
}

function readSettings(request: Fields, model: string): Omit<ModelRequest, 'messages'> {
  const found = {
    tools: readTools(request),
    toolChoice: readToolChoice(request),
    parallelToolCalls: request.boolean('parallel_tool_calls'),
    temperature: request.number('temperature', 0, 2),
    topP: request.number('top_p', 0, 1),
    maxOutputTokens: request.integer('max_output_tokens', 1),
    reasoningEffort: request.object('reasoning')?.string('effort'),
    responseFormat: readFormat(request),
    seed: request.integer('seed', Number.MIN_SAFE_INTEGER),
    user: request.string('user') ?? request.string('safety_identifier'),
  };
  const set = Object.entries(found).filter(([, value]) => value !== undefined);
  return { model, ...Object.fromEntries(set) };
}

/** The response object's other half: what a strict client wants present, as asked for or with the API's defaults. */
function echoOf(
  request: Fields,
  settings: Omit<ModelRequest, 'messages'>,
  instructions: string | undefined,
  previousId: string | undefined,
  stores: boolean,
): string {
  const tools = settings.tools?.map((tool) => ({
    type: 'function',
    name: tool.name,
    description: tool.description ?? null,
    parameters: tool.parameters ?? null,
    strict: tool.strict ?? null,
  }));
  const reasoning = request.object('reasoning');
  const choice = settings.toolChoice ?? 'auto';
  const fields = {
    background: false,
    frequency_penalty: 0,
    instructions: instructions ?? null,
    max_output_tokens: settings.maxOutputTokens ?? null,
    max_tool_calls: request.integer('max_tool_calls', 0) ?? null,
    metadata: readMetadata(request),
    model: settings.model,
    parallel_tool_calls: settings.parallelToolCalls ?? true,
    presence_penalty: 0,
    previous_response_id: previousId ?? null,
    prompt_cache_key: request.string('prompt_cache_key') ?? null,
    reasoning: {
      effort: settings.reasoningEffort ?? null,
      summary: reasoning?.string('summary') ?? null,
    },
    safety_identifier: request.string('safety_identifier') ?? null,
    service_tier: request.string('service_tier') ?? 'default',
    store: stores && (request.boolean('store') ?? true),
    temperature: settings.temperature ?? 1,
    text: {
      format: request.object('text')?.raw('format') ?? { type: 'text' },
      verbosity: request.object('text')?.string('verbosity') ?? 'medium',
    },
    tool_choice: typeof choice === 'string' ? choice : { type: 'function', name: choice.name },
    tools: tools ?? [],
    top_logprobs: request.integer('top_logprobs', 0, 20) ?? 0,
    top_p: settings.topP ?? 1,
    truncation: request.oneOf('truncation', ['auto', 'disabled']) ?? 'disabled',
  };
  const json = JSON.stringify(fields);
  if (json.length <= ECHO_CHARS_MAX) return json.slice(1, -1);
  const text = { format: { type: 'text' }, verbosity: 'medium' };
  const short = { ...fields, instructions: null, tools: [], metadata: {}, text };
  return JSON.stringify(short).slice(1, -1);
}

function readMetadata(request: Fields): unknown {
  const metadata = request.object('metadata');
  for (const key of metadata?.names ?? []) metadata?.string(key);
  return request.raw('metadata') ?? {};
}

export function unknownModel(model: string, models: ModelList): MillraceError {
  const named = models.names.slice(0, MODELS_NAMED_MAX).join(', ');
  const more = models.names.length - MODELS_NAMED_MAX;
  return new MillraceError('MILLRACE_MODEL_NOT_FOUND', {
    model: slice(model, ID_CHARS_MAX),
    available: more > 0 ? `${named} and ${more} more` : named || 'none',
  });
}
