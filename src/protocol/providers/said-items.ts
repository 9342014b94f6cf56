/**
 * How a response comes back in the next turn that is sent whole: as the items that our own encoding makes of it. Only what is told for sure: at most one text, then tool
 * calls; reasoning is not sent back, so it does not count. An answer of another shape is never continued by its id.
 */
import type { Message } from '../request.ts';
import { asArray, asObject, asText } from './json-value.ts';
import { inputItems } from './openai-responses-request.ts';

/** Undefined: it cannot be said for sure. */
export function saidItems(response: unknown): object[] | undefined {
  const { status, output } = asObject(response) ?? {};
  const said = asArray(output);
  if (status !== 'completed' || said === undefined) return undefined;
  let text: string | undefined;
  const toolCalls: { id: string; name: string; arguments: string }[] = [];
  for (const value of said) {
    const item = asObject(value) ?? {};
    if (item['type'] === 'reasoning') continue;
    if (item['type'] === 'function_call') {
      const [id, name, args] = ['call_id', 'name', 'arguments'].map((key) => asText(item[key]));
      if (id === undefined || name === undefined || args === undefined) return undefined;
      toolCalls.push({ id, name, arguments: args });
    } else {
      if (text !== undefined || toolCalls.length > 0) return undefined;
      text = textOf(item['type'] === 'message' ? asArray(item['content']) : undefined);
      if (text === undefined) return undefined;
    }
  }
  if (text === undefined && toolCalls.length === 0) return undefined;
  const content = text === undefined ? [] : [{ type: 'text' as const, text }];
  const message: Message = {
    role: 'assistant',
    content,
    ...(toolCalls.length > 0 && { toolCalls }),
  };
  return inputItems(message);
}

function textOf(parts: readonly unknown[] | undefined): string | undefined {
  const part = parts?.length === 1 ? asObject(parts[0]) : undefined;
  return part?.['type'] === 'output_text' ? asText(part['text']) : undefined;
}
