/** What tests ask of the Responses dialect, and what must hold of every answer. */
import assert from 'node:assert/strict';
import type { TestClient } from './client.ts';

export interface Event {
  readonly type: string;
  readonly sequence_number?: number;
  readonly stream_id?: string;
  readonly delta?: string;
  readonly error?: { readonly code: string; readonly message: string };
  readonly response?: {
    readonly id: string;
    readonly status: string;
    readonly error?: { readonly code: string; readonly message: string } | null;
    readonly output?: readonly {
      readonly type: string;
      readonly name?: string;
      readonly call_id?: string;
      readonly arguments?: string;
    }[];
    readonly usage?: { readonly input_tokens: number; readonly output_tokens: number } | null;
    readonly incomplete_details?: { readonly reason: string } | null;
    readonly x_millrace?: Readonly<Record<string, unknown>>;
  };
}

export function ask(client: TestClient, input: unknown, more: object = {}): void {
  client.send({ type: 'response.create', response: { model: 'demo', input, ...more } });
}

export const isTerminal = (event: Event) =>
  ['response.completed', 'response.failed', 'response.incomplete', 'error'].includes(event.type);
export const isDelta = (event: Event) => event.type === 'response.output_text.delta';

/** All events of the turn that runs, up to its end. */
export function answer(client: TestClient, ms = 10_000): Promise<Event[]> {
  return client.collectJson<Event>(isTerminal, ms);
}

export const textOf = (events: readonly Event[]) =>
  events
    .filter(isDelta)
    .map((event) => event.delta)
    .join('');

/** Exactly one end, which comes last; sequence numbers without gap or double. Returns the end. */
export function assertWhole(events: readonly Event[]): Event {
  const numbers = events.map((event) => event.sequence_number);
  assert.deepEqual(numbers, [...numbers.keys()], 'sequence numbers without gap or double');
  assert.equal(events.filter(isTerminal).length, 1, 'exactly one end');
  const end = events[events.length - 1];
  assert.ok(isTerminal(end), 'the end comes last');
  return end;
}
