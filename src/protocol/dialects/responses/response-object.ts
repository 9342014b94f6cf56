/** The `response` object inside lifecycle events. What does not change during a response is made once. */
import type { MillraceError } from '../../../errors.ts';
import type { Usage } from '../../events.ts';
import type { FrameWriter } from '../frame-writer.ts';
import { errorText } from './error-frame.ts';
import type { OutputItem } from './output-item.ts';

export type Ending =
  | { readonly status: 'completed' }
  | { readonly status: 'incomplete'; readonly reason: string }
  | { readonly status: 'failed'; readonly error: MillraceError; readonly delivered?: Delivered };

/** How much of an answer had been handed over when it failed. */
export interface Delivered {
  /** Deltas, and the bytes of their JSON strings. */
  readonly deltas: number;
  readonly bytes: number;
}

/** What there is of an answer when it ends. */
export interface Answer {
  readonly completedAt: number;
  readonly items: readonly OutputItem[];
  readonly usage: Usage | undefined;
  readonly upstream: string | undefined;
  /** How many upstreams were asked, one after another. */
  readonly attempts: number | undefined;
  /** Another upstream went on with it. */
  readonly continued: boolean;
}

export interface ResponseFacts {
  readonly id: string;
  readonly createdAt: number;
  /** `"stream_id":"a",` or nothing. */
  readonly stream: string;
  /** The lane's id; empty for the default lane. */
  readonly lane: string;
  /** The request's fields said back, without braces. */
  readonly echo: string;
  /** See Turn. */
  readonly headers?: Readonly<Record<string, string>>;
}

export class ResponseObject {
  readonly #stream: string;
  readonly #head: string;
  readonly #echo: string;
  readonly #headers: ResponseFacts['headers'];

  constructor(facts: ResponseFacts) {
    this.#stream = facts.stream;
    this.#head = `"response":{"id":"${facts.id}","object":"response","created_at":${facts.createdAt},`;
    this.#echo = facts.echo;
    this.#headers = facts.headers;
  }

  /** `response.created`, `response.in_progress`. */
  writeOpener(to: FrameWriter, type: string, sequence: number): void {
    this.#begin(to, type, String(sequence));
    to.text('"status":"in_progress","completed_at":null,"error":null,"incomplete_details":null,');
    to.text(`"output":[],"usage":null,${this.#echo}}}`);
  }

  /** The terminal event. `sequence` '' leaves its number out; the place for it is returned. */
  writeEnding(to: FrameWriter, ending: Ending, sequence: string, answer: Answer): number {
    const { completedAt, items, usage } = answer;
    const { status } = ending;
    const at = this.#begin(to, `response.${status}`, sequence);
    to.text(
      `"status":"${status}","completed_at":${status === 'completed' ? completedAt : 'null'},`,
    );
    to.text('"error":').text(errorJson(ending));
    to.text(',"incomplete_details":');
    to.text(ending.status === 'incomplete' ? `{"reason":"${ending.reason}"}` : 'null');
    to.text(',"output":[');
    items.forEach((item, index) => {
      if (index > 0) to.text(',');
      item.writeItem(to, item.status === 'completed' ? 'completed' : 'incomplete');
    });
    to.text(`],"usage":${usageJson(usage)},${this.#echo}`);
    to.text(
      `,"x_millrace":${JSON.stringify({ ...extension(ending, answer), headers: this.#headers })}`,
    );
    to.text('}}');
    return at;
  }

  #begin(to: FrameWriter, type: string, sequence: string): number {
    const before = `{"type":"${type}","sequence_number":`;
    to.text(`${before}${sequence},${this.#stream}${this.#head}`);
    return before.length;
  }
}

function errorJson(ending: Ending): string {
  if (ending.status !== 'failed') return 'null';
  const { error } = ending;
  return JSON.stringify({ code: error.word, message: errorText(error) });
}

/** Our own: which upstream answered, after how many attempts; of a failed response also the code to match on, and how far the answer had come. */
function extension(ending: Ending, { upstream, attempts, continued }: Answer): object {
  const taken = continued ? { continued } : {};
  if (ending.status !== 'failed') return { upstream: upstream ?? null, attempts, ...taken };
  const { error, delivered } = ending;
  return {
    code: error.code,
    retry: error.failure.retry,
    upstream: error.details['upstream'] ?? upstream ?? null,
    attempts,
    delivered: delivered ?? null,
    ...taken,
  };
}

function usageJson(usage: Usage | undefined): string {
  if (usage === undefined) return 'null';
  return JSON.stringify({
    input_tokens: usage.inputTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens, cache_write_tokens: 0 },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.inputTokens + usage.outputTokens,
  });
}
