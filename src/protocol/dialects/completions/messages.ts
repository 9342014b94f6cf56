/** `messages` of a chat completion request, as messages. */
import type { ContentPart, Message, ToolCall } from '../../request.ts';
import { alternatives, describe, Fields, invalid, unsupported } from '../fields.ts';

const MESSAGES_MAX = 65_536;

const roles = ['system', 'developer', 'user', 'assistant', 'tool'] as const;

export function readMessages(request: Fields): Message[] {
  const list = request.list('messages');
  if (list === undefined || list.length === 0 || list.length > MESSAGES_MAX)
    throw invalid('messages', `an array of 1 to ${MESSAGES_MAX} messages`, list?.length);
  return list.map((item, index) => readMessage(new Fields(item, `messages[${index}]`)));
}

function readMessage(message: Fields): Message {
  if (message.raw('role') === 'function')
    throw unsupported(message.at('role'), '"function" was replaced by "tool"');
  const role = message.oneOf('role', roles);
  if (role === undefined) throw invalid(message.at('role'), alternatives(roles), undefined);
  if (role === 'assistant') return readAssistant(message);
  if (role === 'tool')
    return { role, callId: message.text('tool_call_id'), content: toolOutput(message) };
  return { role, content: readContent(message, role === 'user') };
}

function readAssistant(message: Fields): Message {
  if (message.has('function_call'))
    throw unsupported(message.at('function_call'), 'it was replaced by tool_calls');
  const toolCalls = message.list('tool_calls')?.map((call, index) => {
    return readCall(new Fields(call, `${message.at('tool_calls')}[${index}]`));
  });
  const called = toolCalls !== undefined && toolCalls.length > 0;
  const refusal = message.string('refusal');
  const content: ContentPart[] = message.has('content') ? readContent(message, false) : [];
  if (refusal !== undefined) content.push({ type: 'text', text: refusal });
  if (!called && content.length === 0)
    throw invalid(message.at('content'), 'a string or an array of parts', undefined);
  return called ? { role: 'assistant', content, toolCalls } : { role: 'assistant', content };
}

function readCall(call: Fields): ToolCall {
  const type = call.string('type') ?? 'function';
  if (type !== 'function')
    throw unsupported(call.at('type'), `${describe(type)} calls are not understood`);
  const called = call.object('function');
  if (called === undefined) throw invalid(call.at('function'), 'an object', undefined);
  const { id, name } = { id: call.text('id'), name: called.text('name') };
  return { id, name, arguments: called.string('arguments') ?? '' };
}

function readContent(message: Fields, images: boolean): ContentPart[] {
  const value = message.raw('content');
  if (typeof value === 'string') return [{ type: 'text', text: value }];
  const path = message.at('content');
  if (!Array.isArray(value)) throw invalid(path, 'a string or an array of parts', value);
  return value.map((part, index) => readPart(new Fields(part, `${path}[${index}]`), images));
}

function readPart(part: Fields, images: boolean): ContentPart {
  const type = part.string('type') ?? '';
  if (type === 'text' || type === 'refusal') {
    const text = part.string(type);
    if (text === undefined) throw invalid(part.at(type), 'a string', undefined);
    return { type: 'text', text };
  }
  if (type === 'image_url' && images) {
    const image = part.object('image_url');
    if (image === undefined) throw invalid(part.at('image_url'), 'an object', undefined);
    const detail = image.string('detail');
    const url = image.text('url');
    return detail === undefined ? { type: 'image', url } : { type: 'image', url, detail };
  }
  const known = images ? '"text" or "image_url"' : '"text"';
  throw unsupported(
    part.at('type'),
    `${describe(type)} parts are not understood here; expected ${known}`,
  );
}

function toolOutput(message: Fields): string {
  return readContent(message, false)
    .map((part) => (part.type === 'text' ? part.text : ''))
    .join('');
}
