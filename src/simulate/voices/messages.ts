/** Anthropic's Messages API. */
import type { Answer } from '../answer.ts';
import { chatRequestOf, type Fields, isObject, parseBody, textOf, wrong } from '../chat-request.ts';
import {
  type Piece,
  piecesOf,
  type Speaker,
  type Voice,
  type VoiceOptions,
  type WireEvent,
  type WireEvents,
} from './voice.ts';

export const messages: Voice = {
  name: 'anthropic',
  path: '/v1/messages',
  framing: 'events',
  marker: false,
  parse,
  speak: (answer, options) => new MessagesSpeaker(answer, options),
  whole,
};

const reasons: Readonly<Record<string, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
};

function parse(body: string) {
  const fields = parseBody(body);
  const { system, messages: turns, max_tokens: max, thinking } = fields;
  if (max === undefined) throw wrong('max_tokens', 'a whole number from 1', max);
  if (!Array.isArray(turns)) throw wrong('messages', 'a non-empty array', turns);
  const said = system === undefined ? [] : [{ role: 'system', content: textOf(system) }];
  return chatRequestOf({
    ...fields,
    messages: [...said, ...turns.flatMap(turnOf)],
    tools: Array.isArray(fields['tools']) ? fields['tools'].map(toolOf) : undefined,
    tool_choice: choiceOf(fields['tool_choice']),
    parallel_tool_calls: !(
      isObject(fields['tool_choice']) && fields['tool_choice']['disable_parallel_tool_use'] === true
    ),
    stop: fields['stop_sequences'],
    reasoning_effort: isObject(thinking) && thinking['type'] === 'enabled' ? 'low' : undefined,
  });
}

/** Tool results stand inside a user's turn. */
function turnOf(value: unknown): object[] {
  if (!isObject(value)) return [{}];
  const { role, content } = value;
  const results =
    Array.isArray(content) &&
    content.some((block) => isObject(block) && block['type'] === 'tool_result');
  return results && content.length === 1
    ? [{ role: 'tool', content: textOf(content) }]
    : [{ role, content: textOf(content) }];
}

function toolOf(value: unknown): Fields {
  if (!isObject(value)) return {};
  return { function: { name: value['name'], parameters: value['input_schema'] } };
}

function choiceOf(value: unknown): unknown {
  if (!isObject(value)) return undefined;
  if (value['type'] === 'tool') return { function: { name: value['name'] } };
  return value['type'] === 'any' ? 'required' : value['type'];
}

const event = (type: string, rest: object = {}): WireEvent => ({
  name: type,
  json: JSON.stringify({ type, ...rest }),
});

class MessagesSpeaker implements Speaker {
  readonly #answer: Answer;
  readonly #model: string;
  #index = -1;
  /** The block that is open; '' = none. */
  #open = '';

  constructor(answer: Answer, { model }: VoiceOptions) {
    this.#answer = answer;
    this.#model = model;
  }

  opening(): WireEvents {
    const message = {
      id: this.#answer.id,
      type: 'message',
      role: 'assistant',
      model: this.#model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: this.#answer.promptTokens, output_tokens: 0 },
    };
    return [event('message_start', { message }), event('ping')];
  }

  *tokens(): Generator<WireEvents> {
    for (const piece of piecesOf(this.#answer)) yield this.#say(piece);
  }

  text(json: string): WireEvents {
    const block = this.#block('text', { type: 'text', text: '' });
    const delta = `"delta":{"type":"text_delta","text":${json}}`;
    return [
      ...block,
      {
        name: 'content_block_delta',
        json: `{"type":"content_block_delta","index":${this.#index},${delta}}`,
      },
    ];
  }

  failure(code: string, message: string): WireEvents {
    return [event('error', { error: { type: code, message } })];
  }

  finish(): WireEvents {
    const delta = { stop_reason: reasonOf(this.#answer), stop_sequence: null };
    const usage = { output_tokens: this.#answer.completionTokens };
    return [...this.#close(), event('message_delta', { delta, usage })];
  }

  after(): WireEvents {
    return [event('message_stop')];
  }

  #say(piece: Piece): WireEvents {
    if (piece.kind === 'call') {
      const { index, id, name } = piece;
      return this.#block(`call ${index}`, { type: 'tool_use', id, name, input: {} });
    }
    if (piece.kind === 'arguments')
      return [this.#delta({ type: 'input_json_delta', partial_json: piece.text })];
    if (piece.kind === 'reasoning') {
      const block = this.#block('thinking', { type: 'thinking', thinking: '', signature: '' });
      return [...block, this.#delta({ type: 'thinking_delta', thinking: piece.text })];
    }
    const block = this.#block('text', { type: 'text', text: '' });
    return [...block, this.#delta({ type: 'text_delta', text: piece.text })];
  }

  #delta(delta: object): WireEvent {
    return event('content_block_delta', { index: this.#index, delta });
  }

  /** Opens a block when it is another than the one that is open. */
  #block(key: string, content_block: object): WireEvents {
    if (key === this.#open) return [];
    const closed = this.#close();
    this.#open = key;
    this.#index += 1;
    return [...closed, event('content_block_start', { index: this.#index, content_block })];
  }

  #close(): WireEvents {
    if (this.#open === '') return [];
    this.#open = '';
    return [event('content_block_stop', { index: this.#index })];
  }
}

function reasonOf({ finish }: Answer): string {
  return reasons[finish] ?? 'end_turn';
}

function whole(answer: Answer, { model }: VoiceOptions): string {
  const text = [...answer.content, ...answer.refusal].join('');
  return JSON.stringify({
    id: answer.id,
    type: 'message',
    role: 'assistant',
    model,
    content: [
      ...(answer.reasoning.length > 0
        ? [{ type: 'thinking', thinking: answer.reasoning.join(''), signature: '' }]
        : []),
      ...(text === '' ? [] : [{ type: 'text', text }]),
      ...answer.calls.map(({ id, name, fragments }) => ({
        type: 'tool_use',
        id,
        name,
        input: JSON.parse(fragments.join('') || '{}') as object,
      })),
    ],
    stop_reason: reasonOf(answer),
    stop_sequence: null,
    usage: { input_tokens: answer.promptTokens, output_tokens: answer.completionTokens },
  });
}
