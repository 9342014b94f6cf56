/** A route that keeps its worker's loop late for a while, as careless user code does. */
import type { RouteRequest } from '../../../src/protocol/route.ts';

const SPIN_MS = 300;
const TURNS = 8;

export default async function* spin({ text }: RouteRequest): AsyncGenerator<string> {
  if (text === 'spin')
    for (let turn = 0; turn < TURNS; turn += 1) {
      const end = performance.now() + SPIN_MS;
      while (performance.now() < end);
      await new Promise((resolve) => setImmediate(resolve));
    }
  yield 'through';
}
