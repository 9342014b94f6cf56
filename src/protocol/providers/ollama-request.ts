/** A turn as a request of Ollama's own chat API, `POST /api/chat`. What it cannot say is refused. */
import type { ProviderRequest, UpstreamFacts } from '../provider.ts';
import type { ContentPart, Message, ModelRequest, Tool } from '../request.ts';
import { dataUrl } from './data-url.ts';
import { asObject } from './json-value.ts';
import { responseFormat } from './response-format.ts';
import { bearer, streamHeaders } from './stream-headers.ts';
import { refuse, unsupported } from './unsupported.ts';

export function encodeOllama(request: ModelRequest, upstream: UpstreamFacts): ProviderRequest {
  refuse(request.user, 'user', 'Ollama knows no users');
  return {
    method: 'POST',
    path: '/api/chat',
    headers: { ...streamHeaders, accept: 'application/x-ndjson', ...bearer(upstream.apiKey) },
    body: JSON.stringify(bodyOf(request, upstream.model)),
  };
}

/** Members that are undefined are left out by JSON.stringify. */
function bodyOf(request: ModelRequest, model: string): object {
  const names = new Map<string, string>();
  return {
    model,
    messages: request.messages.map((message, at) => messageOf(message, names, `messages[${at}]`)),
    stream: true,
    tools: toolsOf(request),
    format: formatOf(request.responseFormat),
    think: thinkOf(request.reasoningEffort),
    options: {
      temperature: request.temperature,
      top_p: request.topP,
      num_predict: request.maxOutputTokens,
      seed: request.seed,
      stop: request.stop,
    },
  };
}

/** `names`: which tool a call's id belongs to; a result names its tool here, not its call. */
function messageOf(message: Message, names: Map<string, string>, path: string): object {
  if (message.role === 'tool')
    return { role: 'tool', content: message.content, tool_name: names.get(message.callId) };
  const { content, images } = contentOf(message.content, message.role === 'user', path);
  if (message.role !== 'assistant') {
    const role = message.role === 'developer' ? 'system' : message.role;
    return { role, content, images };
  }
  const calls = message.toolCalls?.map(({ id, name, arguments: text }) => {
    names.set(id, name);
    return { function: { name, arguments: argumentsOf(text, path) } };
  });
  return { role: 'assistant', content, tool_calls: calls };
}

function contentOf(parts: readonly ContentPart[], user: boolean, path: string) {
  const images: string[] = [];
  let content = '';
  for (const [at, part] of parts.entries()) {
    const where = `${path}.content[${at}]`;
    if (part.type === 'text') content += part.text;
    else if (!user) throw unsupported(where, 'images belong to user messages');
    else {
      const inside = dataUrl(part.url);
      if (inside === undefined)
        throw unsupported(where, 'Ollama takes images as base64 data URLs only');
      images.push(inside.data);
    }
  }
  return { content, images: images.length > 0 ? images : undefined };
}

function argumentsOf(text: string, path: string): object {
  try {
    const value = asObject(JSON.parse(text === '' ? '{}' : text));
    if (value !== undefined) return value;
  } catch {
    // Said below.
  }
  throw unsupported(`${path}.arguments`, 'arguments of a call must be a JSON object');
}

function toolsOf({ tools = [], toolChoice }: ModelRequest): object[] | undefined {
  if (tools.length === 0 || toolChoice === 'none') return undefined;
  if (toolChoice !== undefined && toolChoice !== 'auto')
    throw unsupported(
      'tool_choice',
      'Ollama cannot be made to call a tool; known are auto and none',
    );
  return tools.map(({ name, description, parameters }: Tool) => ({
    type: 'function',
    function: { name, description, parameters: parameters ?? { type: 'object', properties: {} } },
  }));
}

function formatOf(format: unknown): unknown {
  const asked = responseFormat(format);
  if (asked.type === 'text') return undefined;
  return asked.type === 'json_object' ? 'json' : asked.schema;
}

/** Models that think take a word or a yes; `none` is a no. */
function thinkOf(effort: string | undefined): string | boolean | undefined {
  if (effort === undefined) return undefined;
  if (effort === 'none' || effort === 'minimal') return false;
  return effort;
}
