/** A route whose worker dies when it is told to, and says when. */
import { setImmediate as turn } from 'node:timers/promises';
import type { RouteRequest } from '../../../src/protocol/route.ts';

export const DIE = 'die';

export default async function* route({ text }: RouteRequest): AsyncGenerator<string> {
  if (text !== DIE) {
    yield text;
    return;
  }
  // A message that has an answer does not run again, or it would take the next worker too.
  yield 'dying';
  await turn();
  yield String(process.hrtime.bigint());
  await turn();
  // In a worker this ends its thread alone, at once, as a crash does.
  process.exit(1);
}
