/** Waiting for something to become true, instead of sleeping and hoping. */
import { setTimeout as pause } from 'node:timers/promises';

const STEP_MS = 5;

/** Resolves as soon as `condition` (or what it promises) is truthy; after `ms` it fails and says what it waited for. */
export async function until(condition: () => unknown, what: string, ms = 5000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for: ${what}`);
    await pause(STEP_MS);
  }
}
