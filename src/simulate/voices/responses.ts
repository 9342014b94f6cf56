/** OpenAI's Responses API: items in a row (reasoning, message, calls), each begun, filled and done, and the whole of it once more at the end. */
import type { Answer } from '../answer.ts';
import { chatRequestOf, isObject, parseBody, textOf, wrong } from '../chat-request.ts';
import {
  type Piece,
  piecesOf,
  type Speaker,
  type Voice,
  type VoiceOptions,
  type WireEvent,
  type WireEvents,
} from './voice.ts';

export const responses: Voice = {
  name: 'openai-responses',
  path: '/v1/responses',
  framing: 'events',
  marker: false,
  parse,
  speak: (answer, options) => new ResponsesSpeaker(answer, options),
  whole,
};

function parse(body: string) {
  const fields = parseBody(body);
  const { input, instructions, reasoning } = fields;
  if (typeof input !== 'string' && !Array.isArray(input))
    throw wrong('input', 'a text or a list', input);
  const said = typeof instructions === 'string' ? [{ role: 'system', content: instructions }] : [];
  const turns = typeof input === 'string' ? [{ role: 'user', content: input }] : input.map(turnOf);
  return chatRequestOf({
    ...fields,
    messages: [...said, ...turns],
    tools: Array.isArray(fields['tools'])
      ? fields['tools'].map((tool: unknown) => ({ function: tool }))
      : undefined,
    tool_choice: isObject(fields['tool_choice'])
      ? { function: fields['tool_choice'] }
      : fields['tool_choice'],
    max_tokens: fields['max_output_tokens'],
    reasoning_effort: isObject(reasoning) ? reasoning['effort'] : undefined,
  });
}

function turnOf(item: unknown): object {
  if (!isObject(item)) return {};
  if (item['type'] === 'function_call_output') return { role: 'tool', content: item['output'] };
  if (item['type'] === 'function_call') return { role: 'assistant', content: '' };
  return { role: item['role'], content: textOf(item['content']) };
}

/** An item of the output, as it is when it is done. */
interface Item {
  readonly kind: 'reasoning' | 'content' | 'refusal' | 'call';
  readonly index: number;
  readonly id: string;
  readonly done: object;
}

function itemsOf(answer: Answer): Item[] {
  const texts = (kind: 'reasoning' | 'content' | 'refusal') => answer[kind].join('');
  const items: Omit<Item, 'index' | 'id'>[] = [];
  if (answer.reasoning.length > 0)
    items.push({
      kind: 'reasoning',
      done: { type: 'reasoning', summary: [{ type: 'summary_text', text: texts('reasoning') }] },
    });
  for (const kind of ['content', 'refusal'] as const) {
    if (answer[kind].length === 0) continue;
    const part =
      kind === 'content'
        ? { type: 'output_text', text: texts(kind), annotations: [], logprobs: [] }
        : { type: 'refusal', refusal: texts(kind) };
    items.push({
      kind,
      done: { type: 'message', role: 'assistant', status: 'completed', content: [part] },
    });
  }
  for (const { id, name, fragments } of answer.calls)
    items.push({
      kind: 'call',
      done: {
        type: 'function_call',
        status: 'completed',
        call_id: id,
        name,
        arguments: fragments.join(''),
      },
    });
  return items.map((item, index) => ({ ...item, index, id: `item_simulated_${index}` }));
}

const streams = {
  reasoning: ['response.reasoning_summary_text', 'summary_index', 'text'],
  content: ['response.output_text', 'content_index', 'text'],
  refusal: ['response.refusal', 'content_index', 'refusal'],
} as const;

class ResponsesSpeaker implements Speaker {
  readonly #answer: Answer;
  readonly #options: VoiceOptions;
  readonly #items: readonly Item[];
  #sequence = 0;
  #open: Item | undefined;
  #next = 0;

  constructor(answer: Answer, options: VoiceOptions) {
    this.#answer = answer;
    this.#options = options;
    this.#items = itemsOf(answer);
  }

  opening(): WireEvents {
    const response = responseOf(this.#answer, this.#options, 'in_progress');
    return [
      this.#event('response.created', { response }),
      this.#event('response.in_progress', { response }),
    ];
  }

  *tokens(): Generator<WireEvents> {
    for (const piece of piecesOf(this.#answer)) yield this.#say(piece);
  }

  text(json: string): WireEvents {
    const type = 'response.output_text.delta';
    const at = `"item_id":"${this.#open?.id ?? 'item'}","output_index":${this.#open?.index ?? 0}`;
    const head = `"type":"${type}","sequence_number":${this.#sequence++}`;
    return [{ name: type, json: `{${head},${at},"content_index":0,"delta":${json}}` }];
  }

  failure(code: string, message: string): WireEvents {
    return [this.#event('error', { code, message, param: null })];
  }

  finish(): WireEvents {
    const status = statusOf(this.#answer);
    const response = responseOf(this.#answer, this.#options, status);
    return [...this.#close(), this.#event(`response.${status}`, { response })];
  }

  after(): WireEvents {
    return [];
  }

  #event(type: string, rest: object): WireEvent {
    const json = JSON.stringify({ type, sequence_number: this.#sequence++, ...rest });
    return { name: type, json };
  }

  /** Which item events belong to. */
  #at(item: Item | undefined) {
    return { item_id: item?.id, output_index: item?.index };
  }

  #say(piece: Piece): WireEvents {
    if (piece.kind === 'call') return this.#begin();
    if (piece.kind === 'arguments') {
      const type = 'response.function_call_arguments.delta';
      return [this.#event(type, { ...this.#at(this.#open), delta: piece.text })];
    }
    const begun = this.#open?.kind === piece.kind ? [] : this.#begin();
    const [name, counter] = streams[piece.kind];
    const at = { ...this.#at(this.#open), [counter]: 0 };
    return [...begun, this.#event(`${name}.delta`, { ...at, delta: piece.text })];
  }

  #begin(): WireEvents {
    const closed = this.#close();
    this.#open = this.#items[this.#next++];
    if (this.#open === undefined) return closed;
    const { type, role, call_id, name } = this.#open.done as Record<string, unknown>;
    const empty =
      type === 'function_call'
        ? { arguments: '' }
        : type === 'message'
          ? { content: [] }
          : { summary: [] };
    const { id, index } = this.#open;
    const item = { id, type, role, call_id, name, status: 'in_progress', ...empty };
    return [...closed, this.#event('response.output_item.added', { output_index: index, item })];
  }

  #close(): WireEvents {
    const item = this.#open;
    this.#open = undefined;
    if (item === undefined) return [];
    const { id, index, done } = item;
    const ended = { output_index: index, item: { id, ...done } };
    return [this.#partDone(item), this.#event('response.output_item.done', ended)];
  }

  #partDone(item: Item): WireEvent {
    if (item.kind === 'call') {
      const { arguments: args } = item.done as { arguments: string };
      const type = 'response.function_call_arguments.done';
      return this.#event(type, { ...this.#at(item), arguments: args });
    }
    const [name, counter, member] = streams[item.kind];
    const text = this.#answer[item.kind].join('');
    return this.#event(`${name}.done`, { ...this.#at(item), [counter]: 0, [member]: text });
  }
}

function statusOf({ finish }: Answer): 'completed' | 'incomplete' {
  return finish === 'stop' || finish === 'tool_calls' ? 'completed' : 'incomplete';
}

function responseOf(answer: Answer, { model, createdS }: VoiceOptions, status: string): object {
  const ended = status !== 'in_progress';
  return {
    id: answer.id,
    object: 'response',
    created_at: createdS,
    status,
    model,
    error: null,
    incomplete_details:
      status === 'incomplete'
        ? { reason: answer.finish === 'content_filter' ? 'content_filter' : 'max_output_tokens' }
        : null,
    output: ended ? outputItems(answer) : [],
    usage: ended
      ? {
          input_tokens: answer.promptTokens,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: answer.completionTokens,
          output_tokens_details: { reasoning_tokens: answer.reasoningTokens },
          total_tokens: answer.promptTokens + answer.completionTokens,
        }
      : null,
  };
}

/** What an answer's response has as its output. */
export function outputItems(answer: Answer): object[] {
  return itemsOf(answer).map(({ id, done }) => ({ id, ...done }));
}

function whole(answer: Answer, options: VoiceOptions): string {
  return JSON.stringify(responseOf(answer, options, statusOf(answer)));
}
