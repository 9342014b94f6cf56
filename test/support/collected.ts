/** Whether an object is still held by anybody. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { until } from './until.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export function isCollected(held: WeakRef<object>): boolean {
  collect();
  return held.deref() === undefined;
}

/** Passes once the object is let go of. */
export function collected(held: WeakRef<object>, what: string): Promise<void> {
  return until(() => isCollected(held), `${what} to be let go of`);
}
