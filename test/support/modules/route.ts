/** A route for tests over real threads: the message says what it does. */
import { threadId } from 'node:worker_threads';
import type { RouteContext, RouteRequest, RouteYield } from '../../../src/protocol/route.ts';

interface Wish {
  readonly do: string;
  readonly ask?: string;
  readonly n?: number;
}

let runs = 0;

export default async function* route(
  { json, binary, bytes }: RouteRequest,
  { upstream }: RouteContext,
): AsyncGenerator<RouteYield> {
  if (binary) {
    yield bytes;
    return;
  }
  const wish = json as Wish;
  runs++;
  switch (wish.do) {
    case 'thread':
      yield { thread: threadId, runs };
      return;
    case 'relay':
      yield* upstream.stream({ messages: wish.ask ?? '' }).text();
      yield { done: true };
      return;
    case 'throw':
      yield 'before';
      throw new Error('a fault the test ordered');
    case 'endless':
      for (;;) yield 'on and on';
    case 'hang':
      if (wish.n !== 0) yield 'hanging';
      // One turn, so that the frame leaves.
      await new Promise<void>((resolve) => void setImmediate(resolve));
      for (;;);
    case 'exit':
      if (wish.n !== 0) yield 'exiting';
      await new Promise<void>((resolve) => void setImmediate(() => setImmediate(resolve)));
      process.exit(3);
  }
}
