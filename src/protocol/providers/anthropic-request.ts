/**
 * A turn as a request of Anthropic's Messages API: the system's words stand apart, user and assistant take turns, tool results are the
 * user's. What the protocol cannot say is refused.
 */
import type { ProviderRequest, UpstreamFacts } from '../provider.ts';
import type { ContentPart, Message, ModelRequest, Tool, ToolCall, ToolChoice } from '../request.ts';
import { dataUrl } from './data-url.ts';
import { asObject } from './json-value.ts';
import { responseFormat } from './response-format.ts';
import { streamHeaders } from './stream-headers.ts';
import { refuse, unsupported } from './unsupported.ts';

const VERSION = '2023-06-01';
/** The protocol wants a limit; turns that name none get this. */
const MAX_TOKENS = 4_096;
/** Tokens for thinking, by the words of other providers; they come on top of the answer's own. */
const thinkingTokens: Readonly<Record<string, number>> = {
  low: 1_024,
  medium: 8_192,
  high: 24_576,
};

export function encodeMessages(request: ModelRequest, upstream: UpstreamFacts): ProviderRequest {
  const headers: Record<string, string> = { ...streamHeaders, 'anthropic-version': VERSION };
  if (upstream.apiKey) headers['x-api-key'] = upstream.apiKey;
  const body = JSON.stringify(bodyOf(request, upstream.model));
  return { method: 'POST', path: '/messages', headers, body };
}

/** Members that are undefined are left out by JSON.stringify. */
function bodyOf(request: ModelRequest, model: string): object {
  refuse(request.seed, 'seed', 'the Messages API has no seed');
  if (responseFormat(request.responseFormat).type !== 'text')
    throw unsupported('response_format', 'the Messages API writes text; use a tool for JSON');
  const thinking = thinkingOf(request);
  const tools = request.tools ?? [];
  return {
    model,
    max_tokens: (request.maxOutputTokens ?? MAX_TOKENS) + (thinking?.budget_tokens ?? 0),
    system: systemOf(request.messages),
    messages: turnsOf(request.messages),
    stream: true,
    temperature: request.temperature,
    top_p: request.topP,
    stop_sequences: request.stop,
    thinking,
    tools: tools.length > 0 ? tools.map(toolOf) : undefined,
    tool_choice: tools.length > 0 ? choiceOf(request) : undefined,
    metadata: request.user === undefined ? undefined : { user_id: request.user },
  };
}

function thinkingOf(request: ModelRequest) {
  const effort = request.reasoningEffort;
  if (effort === undefined || effort === 'none' || effort === 'minimal') return undefined;
  const tokens = thinkingTokens[effort];
  if (tokens === undefined)
    throw unsupported('reasoning.effort', 'known are none, minimal, low, medium, high');
  refuse(request.temperature, 'temperature', 'it cannot be set together with reasoning here');
  return { type: 'enabled', budget_tokens: tokens } as const;
}

function systemOf(messages: readonly Message[]): string | undefined {
  const texts = messages.flatMap((message, at) =>
    isSystem(message) ? [textOf(message.content, `messages[${at}]`)] : [],
  );
  return texts.length === 0 ? undefined : texts.join('\n\n');
}

function isSystem(
  message: Message,
): message is Extract<Message, { role: 'system' | 'developer' | 'user' }> {
  return message.role === 'system' || message.role === 'developer';
}

function textOf(parts: readonly ContentPart[], path: string): string {
  return parts
    .map((part, at) => {
      if (part.type === 'text') return part.text;
      throw unsupported(`${path}.content[${at}]`, 'images belong to user messages');
    })
    .join('');
}

interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: object[];
}

/** Neighbours of one role become one turn: the protocol wants them to alternate. */
function turnsOf(messages: readonly Message[]): Turn[] {
  const turns: Turn[] = [];
  for (const [at, message] of messages.entries()) {
    if (isSystem(message)) continue;
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const blocks = blocksOf(message, `messages[${at}]`);
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...blocks);
    else if (blocks.length > 0) turns.push({ role, content: blocks });
  }
  return turns;
}

function blocksOf(message: Message, path: string): object[] {
  if (message.role === 'tool')
    return [{ type: 'tool_result', tool_use_id: message.callId, content: message.content }];
  const blocks = message.content.flatMap((part, at): object[] => {
    // Empty text blocks are refused.
    if (part.type === 'text') return part.text === '' ? [] : [{ type: 'text', text: part.text }];
    if (message.role !== 'user')
      throw unsupported(`${path}.content[${at}]`, 'images belong to user messages');
    return [{ type: 'image', source: sourceOf(part.url, `${path}.content[${at}]`) }];
  });
  const calls = message.role === 'assistant' ? (message.toolCalls ?? []) : [];
  return [...blocks, ...calls.map((call) => callOf(call, path))];
}

function sourceOf(url: string, path: string): object {
  const inside = dataUrl(url);
  if (inside !== undefined)
    return { type: 'base64', media_type: inside.mediaType, data: inside.data };
  if (/^https?:/i.test(url)) return { type: 'url', url };
  throw unsupported(path, 'an image is a base64 data URL or an http(s) URL');
}

function callOf({ id, name, arguments: text }: ToolCall, path: string): object {
  let input: unknown;
  try {
    input = asObject(JSON.parse(text === '' ? '{}' : text));
  } catch {
    input = undefined;
  }
  if (input === undefined)
    throw unsupported(`${path}.arguments`, 'arguments of a call must be a JSON object');
  return { type: 'tool_use', id, name, input };
}

function toolOf({ name, description, parameters }: Tool): object {
  return { name, description, input_schema: parameters ?? { type: 'object', properties: {} } };
}

function choiceOf({ toolChoice, parallelToolCalls }: ModelRequest): object | undefined {
  const alone = parallelToolCalls === false ? { disable_parallel_tool_use: true } : {};
  const type = typeOf(toolChoice);
  if (typeof toolChoice === 'object') return { type: 'tool', name: toolChoice.name, ...alone };
  if (type === 'none') return { type };
  if (type === undefined)
    return parallelToolCalls === false ? { type: 'auto', ...alone } : undefined;
  return { type, ...alone };
}

function typeOf(choice: ToolChoice | undefined): string | undefined {
  return choice === 'required' ? 'any' : typeof choice === 'object' ? 'tool' : choice;
}
