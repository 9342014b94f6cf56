/**
 * Events of Anthropic's Messages API: an answer is a row of content blocks, each begun, filled by deltas and stopped. Signatures and
 * citations are not ours to pass on; unknown events and deltas say nothing, as the protocol's versioning policy asks.
 */
import { Delta, type FinishReason, type Usage } from '../events.ts';
import type { EventReader, Say } from './event-reader.ts';
import { asArray, asCount, asJson, asObject, asText, type JsonObject } from './json-value.ts';
import { errorIn } from './openai-chat-errors.ts';

const reasons: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

const CALLS_MAX = 1_024;

export class AnthropicReader implements EventReader {
  readonly volatile = [] as const;
  readonly #upstream: string;
  /** Tool calls by their block's index; `argued`: a piece of their arguments came. */
  readonly #calls = new Map<unknown, { readonly part: number; argued: boolean }>();
  #begun = 0;
  #input = 0;
  #cached = 0;

  constructor(upstream: string) {
    this.#upstream = upstream;
  }

  event(value: unknown, name: string, say: Say): void {
    const failure = errorIn(this.#upstream, name, value);
    if (failure !== undefined) return say.broken(failure);
    const event = asObject(value);
    if (event === undefined) return say.malformed('an event that is no object');
    switch (asText(event['type']) ?? name) {
      case 'message_start':
        return this.#usage(asObject(asObject(event['message'])?.['usage']), say);
      case 'content_block_start':
        return this.#start(event['index'], asObject(event['content_block']) ?? {}, say);
      case 'content_block_delta':
        return this.#delta(event['index'], asObject(event['delta']) ?? {}, say);
      case 'content_block_stop':
        return this.#stop(event['index'], say);
      case 'message_delta':
        this.#usage(asObject(event['usage']), say);
        return this.#reason(asObject(event['delta'])?.['stop_reason'], say);
      case 'message_stop':
        return say.end();
      default:
        // Pings, and what later versions add.
        return undefined;
    }
  }

  whole(value: unknown, say: Say): void {
    const failure = errorIn(this.#upstream, '', value);
    if (failure !== undefined) return say.broken(failure);
    const message = asObject(value);
    const blocks = asArray(message?.['content']);
    if (blocks === undefined) return;
    for (const [index, block] of blocks.entries()) {
      this.#start(index, asObject(block) ?? {}, say);
      this.#stop(index, say);
    }
    this.#usage(asObject(message?.['usage']), say);
    this.#reason(message?.['stop_reason'], say);
    say.end();
  }

  #start(index: unknown, block: JsonObject, say: Say): void {
    switch (block['type']) {
      case 'text':
        return say.text(Delta.text, 0, asText(block['text']) ?? '');
      case 'thinking':
        return say.text(Delta.reasoning, 0, asText(block['thinking']) ?? '');
      case 'tool_use': {
        const name = asText(block['name']);
        if (name === undefined) return say.malformed('a tool call without a name');
        if (this.#begun >= CALLS_MAX) return say.malformed(`more than ${CALLS_MAX} tool calls`);
        const call = { part: this.#begun++, argued: false };
        this.#calls.set(index, call);
        say.tool(call.part, asText(block['id']) ?? `call_${call.part}`, name);
        const input = asObject(block['input']);
        if (input !== undefined && Object.keys(input).length > 0) {
          call.argued = true;
          say.text(Delta.arguments, call.part, asJson(input) ?? '');
        }
        return undefined;
      }
      default:
        return undefined;
    }
  }

  #delta(index: unknown, delta: JsonObject, say: Say): void {
    const text = (member: string) => {
      const value = delta[member];
      if (typeof value === 'string') return value;
      say.malformed('a delta that is no text');
      return '';
    };
    switch (delta['type']) {
      case 'text_delta':
        return say.text(Delta.text, 0, text('text'), ['delta', 'text']);
      case 'thinking_delta':
        return say.text(Delta.reasoning, 0, text('thinking'), ['delta', 'thinking']);
      case 'input_json_delta': {
        const call = this.#calls.get(index);
        // Blocks of the server's own tools have arguments too: not calls for the client.
        if (call === undefined) return undefined;
        const piece = text('partial_json');
        call.argued ||= piece !== '';
        return say.text(Delta.arguments, call.part, piece, ['delta', 'partial_json']);
      }
      default:
        return undefined;
    }
  }

  /** A call without arguments still has an object of them. */
  #stop(index: unknown, say: Say): void {
    const call = this.#calls.get(index);
    if (call === undefined) return;
    if (!call.argued) say.text(Delta.arguments, call.part, '{}');
    this.#calls.delete(index);
  }

  /** Input is told at the start, output again and again, cumulative; some servers tell all of it at the end. */
  #usage(usage: JsonObject | undefined, say: Say): void {
    if (usage === undefined) return;
    const cached = asCount(usage['cache_read_input_tokens']);
    const written = asCount(usage['cache_creation_input_tokens']);
    this.#cached = Math.max(this.#cached, cached);
    this.#input = Math.max(this.#input, asCount(usage['input_tokens']) + cached + written);
    const told: Usage = {
      inputTokens: this.#input,
      cachedTokens: this.#cached,
      outputTokens: asCount(usage['output_tokens']),
      reasoningTokens: 0,
    };
    say.usage(told);
  }

  #reason(word: unknown, say: Say): void {
    if (typeof word === 'string') say.finish(reasons[word] ?? 'stop');
  }
}
