/**
 * `input` of a response.create as messages: a string, or items. Calls and their outputs become what chat-like providers want:
 * one assistant message with all its calls, then one tool message for each output.
 */
import type { ContentPart, Message, ToolCall } from '../../request.ts';
import { alternatives, describe, Fields, invalid, unsupported } from '../fields.ts';

const ITEMS_MAX = 65_536;

const roles = ['user', 'assistant', 'system', 'developer'] as const;
const itemTypes = ['message', 'function_call', 'function_call_output', 'reasoning'] as const;

/** Items that exist in the API and need what a gateway has not. */
const refusedItems: ReadonlyMap<string, string> = new Map([
  ['item_reference', 'items are not stored here; send the item itself'],
  ['compaction', 'compacted conversations can only be read by the vendor that made them'],
]);

type Assistant = { role: 'assistant'; content: ContentPart[]; toolCalls?: ToolCall[] };

export function readInput(request: Fields): Message[] {
  const value = request.raw('input');
  if (value === undefined) return [];
  if (typeof value === 'string')
    return [{ role: 'user', content: [{ type: 'text', text: value }] }];
  const path = request.at('input');
  if (!Array.isArray(value)) throw invalid(path, 'a string or an array of items', value);
  if (value.length > ITEMS_MAX)
    throw invalid(path, `an array of at most ${ITEMS_MAX} items`, value.length);
  const messages: Message[] = [];
  value.forEach((item, index) => readItem(new Fields(item, `${path}[${index}]`), messages));
  return messages;
}

function readItem(item: Fields, messages: Message[]): void {
  // Items without a type are messages: the short form of the SDKs.
  const type = item.string('type') ?? 'message';
  switch (type) {
    case 'message':
      return readMessage(item, messages);
    case 'function_call':
      lastAssistant(messages).toolCalls?.push({
        id: item.text('call_id'),
        name: item.text('name'),
        arguments: item.string('arguments') ?? '',
      });
      return;
    case 'function_call_output':
      messages.push({ role: 'tool', callId: item.text('call_id'), content: readOutput(item) });
      return;
    case 'reasoning':
      // What a model thought is not asked of it again: chat-like providers have no place for it.
      return;
    default:
      throw unsupported(
        item.at('type'),
        refusedItems.get(type) ??
          `${describe(type)} items are not understood; expected ${alternatives(itemTypes)}`,
      );
  }
}

function readMessage(item: Fields, messages: Message[]): void {
  const role = item.oneOf('role', roles);
  if (role === undefined) throw invalid(item.at('role'), alternatives(roles), undefined);
  const content = readContent(item);
  if (role !== 'assistant') {
    messages.push({ role, content });
    return;
  }
  const last = messages.at(-1);
  // Text after a call belongs to the same answer: nothing may stand between calls and their outputs.
  if (last?.role === 'assistant' && last.toolCalls !== undefined)
    (last as Assistant).content.push(...content);
  else messages.push({ role, content });
}

/** The assistant message that a call joins; `toolCalls` is there. */
function lastAssistant(messages: Message[]): Assistant {
  const last = messages.at(-1) as Assistant | undefined;
  if (last?.role === 'assistant') {
    last.toolCalls ??= [];
    return last;
  }
  const made: Assistant = { role: 'assistant', content: [], toolCalls: [] };
  messages.push(made);
  return made;
}

function readContent(item: Fields): ContentPart[] {
  const value = item.raw('content');
  if (typeof value === 'string') return [{ type: 'text', text: value }];
  const path = item.at('content');
  if (!Array.isArray(value)) throw invalid(path, 'a string or an array of parts', value);
  return value.map((part, index) => readPart(new Fields(part, `${path}[${index}]`)));
}

function readPart(part: Fields): ContentPart {
  const type = part.string('type') ?? '';
  switch (type) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return { type: 'text', text: required(part, 'text') };
    case 'refusal':
      return { type: 'text', text: required(part, 'refusal') };
    case 'input_image': {
      const url = part.string('image_url');
      if (url === undefined)
        throw unsupported(part.at('file_id'), 'files are not stored here; send image_url');
      const detail = part.string('detail');
      return detail === undefined ? { type: 'image', url } : { type: 'image', url, detail };
    }
    default:
      throw unsupported(
        part.at('type'),
        `${describe(type)} parts are not understood; expected "input_text", "output_text", "refusal" or "input_image"`,
      );
  }
}

function required(part: Fields, name: string): string {
  const text = part.string(name);
  if (text === undefined) throw invalid(part.at(name), 'a string', undefined);
  return text;
}

/** A call's output: a string, or text parts. */
function readOutput(item: Fields): string {
  const value = item.raw('output');
  if (typeof value === 'string') return value;
  const path = item.at('output');
  if (!Array.isArray(value)) throw invalid(path, 'a string or an array of text parts', value);
  return value
    .map((part, index) => {
      const read = readPart(new Fields(part, `${path}[${index}]`));
      if (read.type !== 'text')
        throw unsupported(`${path}[${index}]`, 'only text can be a tool output here');
      return read.text;
    })
    .join('');
}
