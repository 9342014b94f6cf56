/**
 * What one parsed chat-completion chunk says. Pure reading: framing, order of ends and failures are the decoder's.
 */
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../events.ts';
import { asArray, asCount, asObject, asText, type JsonObject } from './json-value.ts';
import type { ToolCalls } from './openai-chat-tools.ts';

export interface ChunkSink {
  /** `field`: the member of the delta whose whole value `text` is; '' when it is only a piece of something. */
  text(kind: DeltaKind, text: string, field: string): void;
  usage(usage: Usage): void;
  finish(reason: FinishReason): void;
}

/** Reads a chunk into the sinks. Returns what is wrong with it, or ''. */
export function readChunk(chunk: JsonObject, tools: ToolCalls, sink: ChunkSink): string {
  const list = chunk['choices'];
  const choices = asArray(list);
  // Keep-alives and notes of some servers have no choices; they say nothing and are no harm.
  if (choices === undefined && list !== undefined && list !== null)
    return 'choices that are no list';
  if (choices !== undefined && choices.length > 1) return 'several choices';
  const choice = asObject(choices?.[0]);
  if (choices?.length === 1 && choice === undefined) return 'a choice that is no object';
  if (choice !== undefined) {
    const wrong = readChoice(choice, asText(chunk['id']) ?? '', tools, sink);
    if (wrong !== '') return wrong;
  }
  // Groq and Moonshot put the usage elsewhere.
  const usage =
    asObject(chunk['usage']) ??
    asObject(asObject(chunk['x_groq'])?.['usage']) ??
    asObject(choice?.['usage']);
  if (usage !== undefined) sink.usage(usageOf(usage));
  const reason = asText(choice?.['finish_reason']);
  if (reason !== undefined) {
    if (tools.unnamed) return 'a tool call without a name';
    sink.finish(finishOf(reason));
  }
  return '';
}

function readChoice(
  choice: JsonObject,
  responseId: string,
  tools: ToolCalls,
  sink: ChunkSink,
): string {
  if ((choice['index'] ?? 0) !== 0) return 'several choices';
  const delta = asObject(choice['delta']);
  if (delta === undefined) return '';
  // Two names of one thing: servers that write both write the same text.
  const reasoning = asText(delta['reasoning_content']);
  const thought = reasoning ?? asText(delta['reasoning']);
  if (thought !== undefined)
    sink.text(
      Delta.reasoning,
      thought,
      reasoning === undefined ? 'reasoning' : 'reasoning_content',
    );
  const wrong = readContent(delta['content'], sink);
  if (wrong !== '') return wrong;
  const refusal = asText(delta['refusal']);
  if (refusal !== undefined) sink.text(Delta.refusal, refusal, 'refusal');
  return readCalls(delta, responseId, tools);
}

/** A string; or Mistral's list of typed parts. */
function readContent(content: unknown, sink: ChunkSink): string {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') {
    if (content !== '') sink.text(Delta.text, content, 'content');
    return '';
  }
  const parts = asArray(content);
  if (parts === undefined) return 'content that is no text';
  for (const part of parts) {
    const thinking = asObject(part)?.['thinking'];
    for (const thought of asArray(thinking) ?? [thinking]) {
      const text = asText(thought) ?? asText(asObject(thought)?.['text']);
      if (text !== undefined) sink.text(Delta.reasoning, text, '');
    }
    const text = asText(part) ?? asText(asObject(part)?.['text']);
    if (text !== undefined) sink.text(Delta.text, text, '');
  }
  return '';
}

function readCalls(delta: JsonObject, responseId: string, tools: ToolCalls): string {
  const list = delta['tool_calls'];
  const calls = asArray(list);
  if (calls === undefined && list !== undefined && list !== null)
    return 'tool calls that are no list';
  for (const call of calls ?? []) {
    const wrong = tools.take(call, responseId, calls?.length === 1);
    if (wrong !== '') return wrong;
  }
  // The form before tools: one call, no list.
  const call = asObject(delta['function_call']);
  return call === undefined ? '' : tools.take({ index: 0, function: call }, responseId, false);
}

function usageOf(usage: JsonObject): Usage {
  const input = asObject(usage['prompt_tokens_details']);
  const output = asObject(usage['completion_tokens_details']);
  return {
    inputTokens: asCount(usage['prompt_tokens']),
    cachedTokens: asCount(input?.['cached_tokens'] ?? usage['prompt_cache_hit_tokens']),
    outputTokens: asCount(usage['completion_tokens']),
    reasoningTokens: asCount(output?.['reasoning_tokens']),
  };
}

/** Words of other servers are read by what they mean; an unknown one still says that the answer is whole. */
function finishOf(reason: string): FinishReason {
  switch (reason) {
    case 'length':
    case 'max_tokens':
    case 'model_length':
      return 'length';
    case 'tool_calls':
    case 'function_call':
    case 'tool_use':
      return 'tool_calls';
    case 'content_filter':
      return 'content_filter';
    default:
      return 'stop';
  }
}
