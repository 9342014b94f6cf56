/** What chunks and whole completions say alike. */
import type { Usage } from '../../events.ts';

export interface CompletionFacts {
  readonly id: string;
  /** Seconds. */
  readonly createdAt: number;
  readonly model: string;
  readonly includeUsage: boolean;
}

/** Calls in the order of their beginning: the upstream's own indexes may have gaps, and names may lack an id. */
export class CallIndexes {
  readonly #indexes = new Map<number, number>();

  /** Undefined when it began before. */
  begin(call: number): number | undefined {
    if (this.#indexes.has(call)) return undefined;
    this.#indexes.set(call, this.#indexes.size);
    return this.#indexes.size - 1;
  }

  of(call: number): number {
    return this.#indexes.get(call) ?? 0;
  }
}

export function callId(given: string, facts: CompletionFacts, index: number): string {
  return given || `call_${facts.id.slice(-12)}_${index}`;
}

export function usageJson(usage: Usage | undefined): string {
  if (usage === undefined) return 'null';
  return JSON.stringify({
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  });
}

/** Our extension, as in the Responses dialects. */
export function extensionJson(upstream: string | undefined, continued: boolean): string {
  return JSON.stringify({ upstream: upstream ?? null, ...(continued && { continued }) });
}
