/**
 * Second readings of the bodies of Responses, Messages and Ollama's chat, written to be obvious instead of fast, with libraries we did not write: the whole
 * body at once, eventsource-parser, JSON.parse, strings. They know what the recordings show, nothing else.
 */
import { createParser } from 'eventsource-parser';
import { Delta, type DeltaKind, type Usage } from '../../src/protocol/events.ts';
import type { Step, Trace } from './trace.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- whatever a server sent
type Any = any;

/** What an event says, to a collector. */
type Reading = (event: Any, state: Collector) => void;

class Collector {
  readonly steps: Step[] = [];
  usage: Usage | undefined;
  reason: string | undefined;
  end: string | undefined;
  /** Whatever a reading wants to remember. */
  readonly memory = new Map<string, Any>();

  text(kind: DeltaKind, part: number, text: string): void {
    if (text === '') return;
    const last = this.steps.at(-1);
    if (last !== undefined && 'text' in last && last.kind === kind && last.part === part)
      this.steps[this.steps.length - 1] = { ...last, text: last.text + text };
    else this.steps.push({ text, kind, part });
  }

  fail(code = 'MILLRACE_UPSTREAM_ERROR'): void {
    this.end = this.reason ?? code;
  }
}

const responses: Reading = (event, state) => {
  const { type } = event;
  if (type === 'error' || event.error) return state.fail();
  if (type === 'response.output_text.delta') return state.text(Delta.text, 0, event.delta);
  if (/^response\.reasoning(_summary)?_text\.delta$/.test(type))
    return state.text(Delta.reasoning, 0, event.delta);
  if (type === 'response.output_item.added' && event.item.type === 'function_call') {
    const part = state.memory.size;
    state.memory.set(event.item.id, part);
    state.steps.push({ tool: part, id: event.item.call_id, name: event.item.name });
    return undefined;
  }
  if (type === 'response.function_call_arguments.delta')
    return state.text(Delta.arguments, state.memory.get(event.item_id), event.delta);
  if (type === 'response.failed') return state.fail();
  if (type !== 'response.completed' && type !== 'response.incomplete') return undefined;
  const { usage, status, incomplete_details: details } = event.response;
  if (usage)
    state.usage = {
      inputTokens: usage.input_tokens,
      cachedTokens: usage.input_tokens_details?.cached_tokens ?? 0,
      outputTokens: usage.output_tokens,
      reasoningTokens: usage.output_tokens_details?.reasoning_tokens ?? 0,
    };
  if (status === 'completed') state.end = state.memory.size > 0 ? 'tool_calls' : 'stop';
  else state.end = details.reason === 'content_filter' ? 'content_filter' : 'length';
  return undefined;
};

const reasons: Record<string, string> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  tool_use: 'tool_calls',
};

const messages: Reading = (event, state) => {
  if (event.type === 'error' || event.error) return state.fail();
  const usage = event.message?.usage ?? event.usage;
  if (usage) {
    const read = usage.cache_read_input_tokens ?? 0;
    const written = usage.cache_creation_input_tokens ?? 0;
    const input = (usage.input_tokens ?? 0) + read + written;
    state.usage = {
      inputTokens: Math.max(input, state.usage?.inputTokens ?? 0),
      cachedTokens: Math.max(read, state.usage?.cachedTokens ?? 0),
      outputTokens: usage.output_tokens,
      reasoningTokens: 0,
    };
  }
  if (event.type === 'content_block_start' && event.content_block.type === 'tool_use') {
    const part = state.memory.size;
    state.memory.set(String(event.index), part);
    state.steps.push({ tool: part, id: event.content_block.id, name: event.content_block.name });
  }
  if (event.type === 'content_block_delta') {
    const { delta } = event;
    if (delta.type === 'text_delta') state.text(Delta.text, 0, delta.text);
    if (delta.type === 'thinking_delta') state.text(Delta.reasoning, 0, delta.thinking);
    if (delta.type === 'input_json_delta')
      state.text(Delta.arguments, state.memory.get(String(event.index)), delta.partial_json);
  }
  if (event.delta?.stop_reason) state.reason ??= reasons[event.delta.stop_reason] ?? 'stop';
  if (event.type === 'message_stop') state.end = state.reason ?? 'MILLRACE_UPSTREAM_TRUNCATED';
  return undefined;
};

const ollama: Reading = (line, state) => {
  if (line.error) return state.fail();
  state.text(Delta.reasoning, 0, line.message?.thinking ?? '');
  state.text(Delta.text, 0, line.message?.content ?? '');
  for (const call of line.message?.tool_calls ?? []) {
    const part = state.memory.size;
    state.memory.set(String(part), part);
    state.steps.push({ tool: part, id: call.id, name: call.function.name });
    state.text(Delta.arguments, part, JSON.stringify(call.function.arguments));
  }
  if (!line.done) return undefined;
  state.usage = {
    inputTokens: line.prompt_eval_count ?? 0,
    cachedTokens: 0,
    outputTokens: line.eval_count ?? 0,
    reasoningTokens: 0,
  };
  state.end =
    line.done_reason === 'length' ? 'length' : state.memory.size > 0 ? 'tool_calls' : 'stop';
  return undefined;
};

const readings = { 'openai-responses': responses, anthropic: messages, ollama } as const;

/** What a body says that ended, or broke with the failure `cause`, after these bytes. */
export function referenceStream(
  provider: keyof typeof readings,
  body: Uint8Array,
  cause = 'MILLRACE_UPSTREAM_TRUNCATED',
): Trace {
  const state = new Collector();
  const { whole, last } = provider === 'ollama' ? linesOf(body) : eventsOf(body);
  for (const { data, name } of [...whole, ...last]) {
    if (state.end !== undefined || data.trim() === '') continue;
    if (data.trim() === '[DONE]') {
      state.fail('MILLRACE_UPSTREAM_TRUNCATED');
      continue;
    }
    const event = parsed(data);
    if (event !== undefined) readings[provider](event, state);
    else if (name === 'error') state.fail();
    // Only what the end cut off may be unreadable.
    else if (whole.some((each) => each.data === data)) state.fail('MILLRACE_UPSTREAM_MALFORMED');
  }
  return { steps: state.steps, usage: state.usage, end: state.end ?? state.reason ?? cause };
}

function linesOf(body: Uint8Array) {
  const texts = new TextDecoder().decode(body).split('\n');
  const lines = texts.map((data) => ({ data, name: '' }));
  return { whole: lines.slice(0, -1), last: lines.slice(-1) };
}

function eventsOf(body: Uint8Array) {
  const data: { data: string; name: string }[] = [];
  const parser = createParser({
    onEvent: (event) => data.push({ data: event.data, name: event.event ?? '' }),
  });
  parser.feed(new TextDecoder().decode(body));
  const framed = data.length;
  parser.feed('\n\n');
  return { whole: data.slice(0, framed), last: data.slice(framed) };
}

const known = new Map<string, Any>();

/** JSON.parse; the same events come again and again in tests that cut one body everywhere. */
function parsed(data: string): Any {
  if (known.has(data)) return known.get(data);
  let value: Any;
  try {
    value = JSON.parse(data);
  } catch {
    value = undefined;
  }
  if (known.size < 20_000) known.set(data, value);
  return value;
}
