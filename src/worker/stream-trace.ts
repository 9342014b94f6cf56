/** A stream's place in a trace: its own span id, and one for every attempt, which its upstream is told. */
import type { Options } from '../options/schema.ts';
import type { Random } from '../policy/ports.ts';
import { formatTraceparent, SAMPLED, type TraceContext } from '../protocol/trace-context.ts';
import type { StreamTraceFact } from '../threads/facts.ts';

export class StreamTrace {
  readonly fact: StreamTraceFact;
  readonly #random: Random;
  readonly #tells: boolean;

  private constructor(fact: StreamTraceFact, random: Random, tells: boolean) {
    this.fact = fact;
    this.#random = random;
    this.#tells = tells;
  }

  /** Undefined: nobody traces this stream. */
  static of(
    context: TraceContext | undefined,
    { propagate }: Options['observe'],
    random: Random,
  ): StreamTrace | undefined {
    if (!context && propagate !== 'always') return undefined;
    const spanId = draw(random, 8);
    const fact = context
      ? { ...context, spanId }
      : { traceId: draw(random, 16), spanId, flags: SAMPLED };
    return new StreamTrace(fact, random, propagate !== 'never');
  }

  /** A span for an attempt, and the headers that name it. */
  attempt(): { readonly spanId: string; readonly headers: Readonly<Record<string, string>> } {
    const { traceId, flags, state } = this.fact;
    const spanId = draw(this.#random, 8);
    if (!this.#tells) return { spanId, headers: {} };
    const traceparent = formatTraceparent(traceId, spanId, flags);
    return {
      spanId,
      headers: { traceparent, ...(state === undefined ? {} : { tracestate: state }) },
    };
  }
}

/** All zero would mean "no id". */
function draw(random: Random, bytes: number): string {
  const id = Buffer.alloc(bytes);
  do random.fill(id);
  while (id.every((byte) => byte === 0));
  return id.toString('hex');
}
