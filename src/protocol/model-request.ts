/** What code of the user's asks of an upstream, checked and completed into a ModelRequest. */
import { MillraceError } from '../errors.ts';
import type { ModelList } from './dialect.ts';
import { alternatives, Fields, invalid, slice } from './dialects/fields.ts';
import type { ContentPart, Message, ModelRequest, ToolCall } from './request.ts';

const MODEL_CHARS_MAX = 128;
const roles = ['system', 'developer', 'user', 'assistant', 'tool'] as const;

/** @throws MILLRACE_FIELD_INVALID, MILLRACE_MODEL_NOT_FOUND. */
export function toModelRequest(asked: unknown, models: ModelList): ModelRequest {
  const fields = new Fields(asked, '');
  const request = { ...(asked as ModelRequest) };
  return { ...request, model: modelOf(fields, models), messages: messagesOf(fields) };
}

function modelOf(fields: Fields, models: ModelList): string {
  const only = models.names.length === 1 ? models.names[0] : undefined;
  const model = fields.has('model') || only === undefined ? fields.text('model') : only;
  if (models.has(model)) return model;
  throw new MillraceError('MILLRACE_MODEL_NOT_FOUND', {
    model: slice(model, MODEL_CHARS_MAX),
    available: models.names.slice(0, 20).join(', ') || 'none',
  });
}

function messagesOf(fields: Fields): Message[] {
  const said = fields.raw('messages');
  if (typeof said === 'string') return [{ role: 'user', content: textParts(said) }];
  const list = fields.list('messages');
  if (list === undefined || list.length === 0) {
    throw invalid('messages', 'a text or a list of at least one message', said);
  }
  return list.map((each, at) => messageOf(new Fields(each, `messages[${at}]`)));
}

function messageOf(fields: Fields): Message {
  const role = fields.oneOf('role', roles);
  if (role === undefined) throw invalid(fields.at('role'), alternatives(roles), undefined);
  if (role === 'tool') {
    const content = fields.string('content') ?? '';
    return { role, callId: fields.text('callId'), content };
  }
  const content = contentOf(fields);
  if (role !== 'assistant') return { role, content };
  const calls = fields.list('toolCalls');
  if (calls === undefined) return { role, content };
  const toolCalls = calls.map((call, at) =>
    callOf(new Fields(call, fields.at(`toolCalls[${at}]`))),
  );
  return { role, content, toolCalls };
}

const textParts = (text: string): ContentPart[] => [{ type: 'text', text }];

function contentOf(fields: Fields): readonly ContentPart[] {
  const content = fields.raw('content');
  if (content === undefined || content === '') return [];
  if (typeof content === 'string') return textParts(content);
  const list = fields.list('content') ?? [];
  return list.map((part, at) => partOf(new Fields(part, fields.at(`content[${at}]`))));
}

function partOf(fields: Fields): ContentPart {
  const type = fields.oneOf('type', ['text', 'image']);
  if (type === 'text') return { type, text: fields.string('text') ?? '' };
  if (type === undefined) throw invalid(fields.at('type'), '"text" or "image"', undefined);
  const detail = fields.string('detail');
  return { type, url: fields.text('url'), ...(detail === undefined ? {} : { detail }) };
}

function callOf(fields: Fields): ToolCall {
  return {
    id: fields.text('id'),
    name: fields.text('name'),
    arguments: fields.string('arguments') ?? '',
  };
}
