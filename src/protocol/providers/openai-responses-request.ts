/** A turn as a request of OpenAI's Responses API. Nothing is kept at the upstream (`store: false`): what a turn continues is sent along. */
import type { ProviderRequest, UpstreamFacts } from '../provider.ts';
import type { ContentPart, Message, ModelRequest, Tool, ToolChoice } from '../request.ts';
import { responseFormat } from './response-format.ts';
import { bearer, streamHeaders } from './stream-headers.ts';
import { refuse, unsupported } from './unsupported.ts';

export function encodeResponses(request: ModelRequest, upstream: UpstreamFacts): ProviderRequest {
  refuse(request.seed, 'seed', 'the Responses API has no seed');
  refuse(request.stop, 'stop', 'the Responses API has no stop sequences');
  return {
    method: 'POST',
    path: '/responses',
    headers: { ...streamHeaders, ...bearer(upstream.apiKey) },
    body: JSON.stringify(bodyOf(request, upstream.model)),
  };
}

/** Members that are undefined are left out by JSON.stringify. */
function bodyOf(request: ModelRequest, model: string): object {
  const tools = request.tools ?? [];
  const callable = tools.length > 0;
  const format = formatOf(request.responseFormat);
  return {
    model,
    input: request.messages.flatMap((message, at) => inputItems(message, `messages[${at}]`)),
    stream: true,
    store: false,
    tools: callable ? tools.map(toolOf) : undefined,
    tool_choice: callable ? choiceOf(request.toolChoice) : undefined,
    parallel_tool_calls: callable ? request.parallelToolCalls : undefined,
    temperature: request.temperature,
    top_p: request.topP,
    max_output_tokens: request.maxOutputTokens,
    reasoning:
      request.reasoningEffort === undefined ? undefined : { effort: request.reasoningEffort },
    text: format === undefined ? undefined : { format },
    user: request.user,
  };
}

/** `path`: where it stands, for complaints. */
export function inputItems(message: Message, path = 'message'): object[] {
  if (message.role === 'tool')
    return [{ type: 'function_call_output', call_id: message.callId, output: message.content }];
  if (message.role !== 'assistant')
    return [{ role: message.role, content: contentOf(message.content, message.role, path) }];
  const text = contentOf(message.content, 'assistant', path);
  const calls = (message.toolCalls ?? []).map(({ id, name, arguments: args }) => ({
    type: 'function_call',
    call_id: id,
    name,
    arguments: args,
  }));
  return text.length === 0 ? calls : [{ role: 'assistant', content: text }, ...calls];
}

function contentOf(parts: readonly ContentPart[], role: string, path: string): object[] {
  return parts.map((part, at) => {
    if (part.type === 'text')
      return { type: role === 'assistant' ? 'output_text' : 'input_text', text: part.text };
    if (role !== 'user')
      throw unsupported(`${path}.content[${at}]`, 'images belong to user messages');
    return { type: 'input_image', image_url: part.url, detail: part.detail ?? 'auto' };
  });
}

function toolOf({ name, description, parameters, strict }: Tool): object {
  return {
    type: 'function',
    name,
    description,
    parameters: parameters ?? null,
    strict: strict ?? false,
  };
}

function choiceOf(choice: ToolChoice | undefined): unknown {
  return typeof choice === 'object' ? { type: 'function', name: choice.name } : choice;
}

function formatOf(format: unknown): object | undefined {
  const asked = responseFormat(format);
  return asked.type === 'text' ? undefined : asked;
}
