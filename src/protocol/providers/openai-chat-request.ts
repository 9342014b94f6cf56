/** A turn as a chat-completion request. What the protocol cannot say is refused, never left out in silence. */
import type { ProviderRequest, UpstreamFacts } from '../provider.ts';
import type { ContentPart, Message, ModelRequest, Tool, ToolChoice } from '../request.ts';
import { responseFormat } from './response-format.ts';
import { bearer, streamHeaders } from './stream-headers.ts';
import { unsupported } from './unsupported.ts';

export function encode(request: ModelRequest, upstream: UpstreamFacts): ProviderRequest {
  const headers = { ...streamHeaders, ...bearer(upstream.apiKey) };
  const body = JSON.stringify(bodyOf(request, upstream.model));
  return { method: 'POST', path: '/chat/completions', headers, body };
}

/** Members that are undefined are left out by JSON.stringify. */
function bodyOf(request: ModelRequest, model: string): object {
  const tools = request.tools ?? [];
  const callable = tools.length > 0;
  return {
    model,
    messages: messagesOf(request.messages),
    stream: true,
    stream_options: { include_usage: true },
    tools: callable ? tools.map(toolOf) : undefined,
    // Servers refuse both without tools.
    tool_choice: callable ? choiceOf(request.toolChoice) : undefined,
    parallel_tool_calls: callable ? request.parallelToolCalls : undefined,
    temperature: request.temperature,
    top_p: request.topP,
    [lengthField(model)]: request.maxOutputTokens,
    reasoning_effort: request.reasoningEffort,
    response_format: formatOf(request.responseFormat),
    stop: request.stop,
    seed: request.seed,
    user: request.user,
  };
}

/** OpenAI's reasoning models refuse `max_tokens`; most other servers know no other word. */
function lengthField(model: string): string {
  return /(?:^|\/)(?:o\d|gpt-[5-9])/.test(model) ? 'max_completion_tokens' : 'max_tokens';
}

/**
 * Chat servers want all calls of one turn in one assistant message, right before their results; dialects may hand text and calls over
 * as neighbours.
 */
function messagesOf(messages: readonly Message[]): object[] {
  const joined: Message[] = [];
  for (const message of messages) {
    const last = joined.at(-1);
    const calls = message.role === 'assistant' && (message.toolCalls?.length ?? 0) > 0;
    if (calls && last?.role === 'assistant') {
      joined[joined.length - 1] = {
        role: 'assistant',
        content: [...last.content, ...message.content],
        toolCalls: [...(last.toolCalls ?? []), ...(message.toolCalls ?? [])],
      };
    } else joined.push(message);
  }
  return joined.map((message, at) => messageOf(message, `messages[${at}]`));
}

function messageOf(message: Message, path: string): object {
  if (message.role === 'tool')
    return { role: 'tool', tool_call_id: message.callId, content: message.content };
  if (message.role === 'user')
    return { role: 'user', content: contentOf(message.content, true, path) };
  const content = contentOf(message.content, false, path);
  // `developer` is OpenAI's newer word for the same place; other servers know only `system`, and OpenAI takes both.
  if (message.role !== 'assistant') return { role: 'system', content };
  const calls = message.toolCalls ?? [];
  if (calls.length === 0) return { role: 'assistant', content };
  const toolCalls = calls.map(({ id, name, arguments: text }) => ({
    id,
    type: 'function',
    function: { name, arguments: text },
  }));
  return { role: 'assistant', content: content === '' ? null : content, tool_calls: toolCalls };
}

/** Text as one string where it is one: the form every server takes. */
function contentOf(
  parts: readonly ContentPart[],
  images: boolean,
  path: string,
): string | readonly object[] {
  const [only] = parts;
  if (only === undefined) return '';
  if (parts.length === 1 && only.type === 'text') return only.text;
  return parts.map((part, at) => {
    if (part.type === 'text') return { type: 'text', text: part.text };
    if (!images) throw unsupported(`${path}.content[${at}]`, 'images belong to user messages');
    return { type: 'image_url', image_url: { url: part.url, detail: part.detail } };
  });
}

function toolOf({ name, description, parameters, strict }: Tool): object {
  return { type: 'function', function: { name, description, parameters, strict } };
}

function choiceOf(choice: ToolChoice | undefined): unknown {
  return typeof choice === 'object'
    ? { type: 'function', function: { name: choice.name } }
    : choice;
}

function formatOf(format: unknown): object | undefined {
  const asked = responseFormat(format);
  if (asked.type === 'text') return undefined;
  if (asked.type === 'json_object') return { type: 'json_object' };
  const { name, description, schema, strict } = asked;
  return { type: 'json_schema', json_schema: { name, description, schema, strict } };
}
