/** Lines of Ollama's own chat API: one JSON object each, the last one with `done`. */
import { Delta } from '../events.ts';
import type { EventReader, Say } from './event-reader.ts';
import { asArray, asCount, asJson, asObject, asText, type JsonObject } from './json-value.ts';
import { errorIn } from './openai-chat-errors.ts';

const CALLS_MAX = 1_024;

export class OllamaReader implements EventReader {
  readonly volatile = [{ name: 'created_at', kind: 'text' }] as const;
  readonly #upstream: string;
  #calls = 0;

  constructor(upstream: string) {
    this.#upstream = upstream;
  }

  event(value: unknown, _name: string, say: Say): void {
    const line = asObject(value);
    if (line === undefined) return say.malformed('a line that is no object');
    const failure = errorIn(this.#upstream, '', line);
    if (failure !== undefined) return say.broken(failure);
    const message = asObject(line['message']) ?? {};
    say.text(Delta.reasoning, 0, asText(message['thinking']) ?? '', ['message', 'thinking']);
    const content = message['content'];
    if (typeof content === 'string') say.text(Delta.text, 0, content, ['message', 'content']);
    else if (content !== undefined && content !== null)
      return say.malformed('content that is no text');
    for (const call of asArray(message['tool_calls']) ?? []) this.#call(asObject(call) ?? {}, say);
    if (line['done'] === true) this.#done(line, say);
  }

  whole(value: unknown, say: Say): void {
    this.event(value, '', say);
  }

  /** Whole calls, with their arguments as an object. */
  #call(call: JsonObject, say: Say): void {
    const called = asObject(call['function']);
    const name = asText(called?.['name']);
    if (name === undefined) return say.malformed('a tool call without a name');
    if (this.#calls >= CALLS_MAX) return say.malformed(`more than ${CALLS_MAX} tool calls`);
    const part = this.#calls++;
    say.tool(part, asText(call['id']) ?? `call_${part}`, name);
    const told = called?.['arguments'];
    const text = typeof told === 'string' ? told : asJson(told ?? {});
    if (text === undefined) return say.malformed('tool arguments that are no object');
    say.text(Delta.arguments, part, text);
  }

  #done(line: JsonObject, say: Say): void {
    const reason = line['done_reason'];
    say.usage({
      inputTokens: asCount(line['prompt_eval_count']),
      cachedTokens: 0,
      outputTokens: asCount(line['eval_count']),
      reasoningTokens: 0,
    });
    if (reason === 'length') say.finish('length');
    else say.finish(this.#calls > 0 ? 'tool_calls' : 'stop');
    say.end();
  }
}
