/**
 * Events of OpenAI's Responses API. Servers tell the same text several times: in deltas, when the part is done, when the item is done, and once more in the
 * terminal event; ids and indexes do not always agree between these. So each kind of content is taken from where it was
 * told first, and from nowhere else.
 */
import { MillraceError } from '../../errors.ts';
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../events.ts';
import type { EventReader, Say } from './event-reader.ts';
import { asArray, asCount, asObject, asText, type JsonObject } from './json-value.ts';
import { errorIn } from './openai-chat-errors.ts';
import { reasonOf } from './upstream-words.ts';

/** What streams text, by the event's type: in deltas, and whole when it is done. */
const deltas: Readonly<Record<string, DeltaKind>> = {
  'response.output_text.delta': Delta.text,
  'response.refusal.delta': Delta.refusal,
  'response.reasoning_text.delta': Delta.reasoning,
  'response.reasoning_summary_text.delta': Delta.reasoning,
};
const dones: Readonly<Record<string, readonly [kind: DeltaKind, member: string]>> = {
  'response.output_text.done': [Delta.text, 'text'],
  'response.refusal.done': [Delta.refusal, 'refusal'],
  'response.reasoning_text.done': [Delta.reasoning, 'text'],
  'response.reasoning_summary_text.done': [Delta.reasoning, 'text'],
};

const CALLS_MAX = 1_024;
const PATH = ['delta'] as const;

interface Call {
  readonly part: number;
  argued: boolean;
}

/** Where content was told first. */
type Level = 'delta' | 'part' | 'item' | 'end';

const volatile = [
  { name: 'sequence_number', kind: 'digits' },
  { name: 'obfuscation', kind: 'text' },
] as const;

export class OpenaiResponsesReader implements EventReader {
  readonly volatile = volatile;
  readonly #upstream: string;
  /** Under their item's id, their call's id, and their place. */
  readonly #calls = new Map<string, Call>();
  #begun = 0;
  #last: Call | undefined;
  readonly #levels = new Map<DeltaKind, Level>();

  constructor(upstream: string) {
    this.#upstream = upstream;
  }

  event(value: unknown, name: string, say: Say): void {
    const event = asObject(value);
    if (event === undefined && name !== 'error') return say.malformed('an event that is no object');
    const type = asText(event?.['type']) ?? name;
    if (event !== undefined && type.startsWith('response.'))
      return this.#response(event, type, say);
    const failure = errorIn(this.#upstream, name, value);
    if (failure !== undefined) say.broken(failure);
  }

  whole(value: unknown, say: Say): void {
    const failure = errorIn(this.#upstream, '', value);
    if (failure !== undefined) return say.broken(failure);
    const response = asObject(value);
    if (asArray(response?.['output']) === undefined) return;
    this.#ended(response ?? {}, say);
  }

  #response(event: JsonObject, type: string, say: Say): void {
    const kind = deltas[type];
    if (kind !== undefined) return this.#delta(event, kind, say);
    const done = dones[type];
    if (done !== undefined) return this.#done(event, done, say);
    switch (type) {
      case 'response.output_item.added':
        return this.#item(event, 'begun', say);
      case 'response.output_item.done':
        return this.#item(event, 'item', say);
      case 'response.function_call_arguments.delta':
        return this.#arguments(event, say);
      case 'response.function_call_arguments.done':
        return this.#allArguments(this.#callOfEvent(event), event['arguments'], say);
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed':
      case 'response.cancelled':
        return this.#ended(asObject(event['response']) ?? {}, say);
      default:
        // Openers, progress, parts: they hold nothing that a delta does not say.
        return undefined;
    }
  }

  #delta(event: JsonObject, kind: DeltaKind, say: Say): void {
    const text = event['delta'];
    if (typeof text !== 'string') return say.malformed('a delta that is no text');
    if (this.#tells(kind, 'delta')) say.text(kind, 0, text, PATH);
  }

  #done(event: JsonObject, [kind, member]: readonly [DeltaKind, string], say: Say): void {
    const text = asText(event[member]);
    if (text !== undefined && this.#tells(kind, 'part')) say.text(kind, 0, text);
  }

  /** Does content of this kind come from here? */
  #tells(kind: DeltaKind, level: Level): boolean {
    const known = this.#levels.get(kind);
    if (known === undefined) this.#levels.set(kind, level);
    return known === undefined || known === level;
  }

  #item(event: JsonObject, level: 'begun' | 'item' | 'end', say: Say): void {
    const item = asObject(event['item']);
    if (item?.['type'] === 'function_call') {
      const call = this.#callOf(item, event) ?? this.#begin(item, event, say);
      if (call !== undefined && level !== 'begun') this.#allArguments(call, item['arguments'], say);
    } else if (item !== undefined && level !== 'begun') this.#itemTexts(item, level, say);
  }

  #begin(item: JsonObject, event: JsonObject, say: Say): Call | undefined {
    const name = asText(item['name']);
    if (name === undefined) say.malformed('a tool call without a name');
    else if (this.#begun >= CALLS_MAX) say.malformed(`more than ${CALLS_MAX} tool calls`);
    else {
      const call: Call = { part: this.#begun++, argued: false };
      const [id, callId] = [asText(item['id']), asText(item['call_id'])];
      for (const key of [id, callId, placeOf(event)])
        if (key !== undefined) this.#calls.set(key, call);
      this.#last = call;
      say.tool(call.part, callId ?? id ?? `call_${call.part}`, name);
      return call;
    }
    return undefined;
  }

  /** By an id that both know; by the place only where there is no id, because servers number two calls alike. */
  #callOf(item: JsonObject, event: JsonObject): Call | undefined {
    const ids = [asText(item['id']), asText(item['call_id'])].filter((id) => id !== undefined);
    if (ids.length === 0) return this.#calls.get(placeOf(event) ?? '');
    return ids.map((id) => this.#calls.get(id)).find((call) => call !== undefined);
  }

  #callOfEvent(event: JsonObject): Call | undefined {
    const id = asText(event['item_id']);
    return this.#calls.get(id ?? '') ?? this.#calls.get(placeOf(event) ?? '') ?? this.#last;
  }

  #arguments(event: JsonObject, say: Say): void {
    const call = this.#callOfEvent(event);
    const text = event['delta'];
    if (call === undefined || typeof text !== 'string')
      return say.malformed('arguments of no tool call');
    call.argued ||= text !== '';
    say.text(Delta.arguments, call.part, text, PATH);
  }

  #allArguments(call: Call | undefined, text: unknown, say: Say): void {
    if (call === undefined || call.argued) return;
    call.argued = true;
    say.text(Delta.arguments, call.part, asText(text) ?? '{}');
  }

  #itemTexts(item: JsonObject, level: Level, say: Say): void {
    for (const list of ['summary', 'content']) {
      for (const value of asArray(item[list]) ?? []) {
        const part = asObject(value) ?? {};
        const kind = kindOf(item, part);
        const text = asText(part['text']) ?? asText(part['refusal']);
        if (text !== undefined && this.#tells(kind, level)) say.text(kind, 0, text);
      }
    }
  }

  /** The terminal event: what is still unsaid, usage, and how it ended. */
  #ended(response: JsonObject, say: Say): void {
    // Whoever told calls before tells the same ones here, perhaps under other ids.
    const told = this.#begun > 0;
    for (const [at, item] of (asArray(response['output']) ?? []).entries()) {
      const isCall = asObject(item)?.['type'] === 'function_call';
      if (!told || !isCall) this.#item({ output_index: at, item }, 'end', say);
    }
    const usage = asObject(response['usage']);
    if (usage !== undefined) say.usage(usageOf(usage));
    const status = response['status'];
    if (status === 'completed') {
      say.finish(this.#begun > 0 ? 'tool_calls' : 'stop');
      return say.end();
    }
    if (status === 'incomplete') {
      say.finish(reasonFor(asText(asObject(response['incomplete_details'])?.['reason']) ?? ''));
      return say.end();
    }
    const failure =
      errorIn(this.#upstream, 'error', { error: response['error'] }) ??
      new MillraceError('MILLRACE_UPSTREAM_ERROR', {
        upstream: this.#upstream,
        reason: reasonOf(`response ${asText(status) ?? 'without a status'}`),
      });
    say.broken(failure);
  }
}

/** A key that no id looks like. */
function placeOf(event: JsonObject): string | undefined {
  const index = event['output_index'];
  return typeof index === 'number' ? `#${index}` : undefined;
}

function kindOf(item: JsonObject, part: JsonObject): DeltaKind {
  if (part['type'] === 'refusal') return Delta.refusal;
  return item['type'] === 'reasoning' ? Delta.reasoning : Delta.text;
}

function reasonFor(word: string): FinishReason {
  return word === 'content_filter' ? 'content_filter' : 'length';
}

function usageOf(usage: JsonObject): Usage {
  return {
    inputTokens: asCount(usage['input_tokens']),
    cachedTokens: asCount(asObject(usage['input_tokens_details'])?.['cached_tokens']),
    outputTokens: asCount(usage['output_tokens']),
    reasoningTokens: asCount(asObject(usage['output_tokens_details'])?.['reasoning_tokens']),
  };
}
