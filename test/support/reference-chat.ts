/**
 * A second reading of chat-completion bodies, written to be obvious instead of fast, with libraries we did not write: the whole body at once,
 * eventsource-parser, JSON.parse, strings. It knows the documented forms and what the recordings show, nothing else.
 */
import { createParser } from 'eventsource-parser';
import { Delta, type DeltaKind, type Usage } from '../../src/protocol/events.ts';
import type { Step, Trace } from './trace.ts';

interface Chunk {
  readonly error?: unknown;
  readonly choices?: readonly {
    readonly index?: number;
    readonly delta?: {
      readonly content?: string | null;
      readonly reasoning_content?: string | null;
      readonly reasoning?: string | null;
      readonly refusal?: string | null;
      readonly tool_calls?: readonly {
        readonly index: number;
        readonly id?: string;
        readonly function?: { readonly name?: string; readonly arguments?: string };
      }[];
    };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number };
    readonly completion_tokens_details?: { readonly reasoning_tokens?: number };
  } | null;
}

/** What a body says that ended, or broke with the failure `cause`, after these bytes. */
export function referenceTrace(body: Uint8Array, cause = 'MILLRACE_UPSTREAM_TRUNCATED'): Trace {
  const events: { data: string; event?: string | undefined; spoilt?: true }[] = [];
  let isWhole = true;
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onError: ({ type, field = '', value = '' }) => {
      if (type !== 'unknown-field' || field === 'error' || !isWhole) return;
      // It may have been an event before it was damaged.
      if (!/^[\w-]*$/.test(field) || /^[[{]/.test(value)) events.push({ data: '', spoilt: true });
    },
  });
  parser.feed(new TextDecoder().decode(body));
  // What comes now ends what was cut off.
  isWhole = false;
  const framed = events.length;
  parser.feed('\n\n');
  const state = new Reading();
  for (const [at, { data, event, spoilt }] of events.entries()) {
    if (state.end !== undefined) break;
    if (spoilt) state.end = state.reason ?? 'MILLRACE_UPSTREAM_MALFORMED';
    if (data.trim() === '') continue;
    if (data.trim() === '[DONE]') {
      state.end = state.reason ?? 'MILLRACE_UPSTREAM_TRUNCATED';
      break;
    }
    let chunk: Chunk;
    try {
      chunk = parseOnce(data);
    } catch {
      // Only what the end cut off may be unreadable.
      if (at < framed) state.end = state.reason ?? 'MILLRACE_UPSTREAM_MALFORMED';
      continue;
    }
    state.read(chunk, event);
  }
  return {
    steps: state.steps.map((step) =>
      'text' in step ? { ...step, text: wellFormed(step.text) } : step,
    ),
    usage: state.usage,
    end: state.end ?? state.reason ?? cause,
  };
}

const parsed = new Map<string, Chunk>();

/** JSON.parse; the same events come again and again in tests that cut one body everywhere. */
function parseOnce(data: string): Chunk {
  const known = parsed.get(data);
  if (known !== undefined) return known;
  const chunk = JSON.parse(data) as Chunk;
  if (parsed.size < 10_000) parsed.set(data, chunk);
  return chunk;
}

class Reading {
  readonly steps: Step[] = [];
  usage: Usage | undefined;
  reason: string | undefined;
  end: string | undefined;
  readonly #known = new Set<number>();

  read(chunk: Chunk, event: string | undefined): void {
    if (chunk.error || event === 'error') {
      this.end = this.reason ?? 'MILLRACE_UPSTREAM_ERROR';
      return;
    }
    const choices = chunk.choices ?? [];
    if (choices.length > 1 || (choices[0]?.index ?? 0) !== 0) {
      this.end = this.reason ?? 'MILLRACE_UPSTREAM_MALFORMED';
      return;
    }
    const delta = choices[0]?.delta ?? {};
    this.#text(Delta.reasoning, 0, delta.reasoning_content || delta.reasoning);
    this.#text(Delta.text, 0, delta.content);
    this.#text(Delta.refusal, 0, delta.refusal);
    for (const call of delta.tool_calls ?? []) {
      if (!this.#known.has(call.index)) {
        this.#known.add(call.index);
        const { id = '', function: { name = '' } = {} } = call;
        this.steps.push({ tool: call.index, id, name });
      }
      this.#text(Delta.arguments, call.index, call.function?.arguments);
    }
    if (chunk.usage)
      this.usage = {
        inputTokens: chunk.usage.prompt_tokens,
        cachedTokens: chunk.usage.prompt_tokens_details?.cached_tokens ?? 0,
        outputTokens: chunk.usage.completion_tokens,
        reasoningTokens: chunk.usage.completion_tokens_details?.reasoning_tokens ?? 0,
      };
    const reason = choices[0]?.finish_reason;
    if (reason) this.reason ??= reason;
  }

  #text(kind: DeltaKind, part: number, text: string | null | undefined): void {
    if (!text) return;
    const last = this.steps.at(-1);
    if (last !== undefined && 'text' in last && last.kind === kind && last.part === part)
      this.steps[this.steps.length - 1] = { text: last.text + text, kind, part };
    else this.steps.push({ text, kind, part });
  }
}

/** Halves of surrogate pairs that stand alone become U+FFFD: what encoding to UTF-8 does by definition. */
function wellFormed(text: string): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}
