/** Tests a module of memory/ under every interleaving of small programs, and that faults put into it are found. */
import assert from 'node:assert/strict';
import type { test } from 'node:test';
import { type Found, type Program, searchInterleavings } from './interleavings.ts';
import { type Fault, tracked } from './mutant.ts';

export interface Subject<Module> {
  readonly path: string;
  readonly programs: Readonly<Record<string, (module: Module) => Program>>;
  readonly faults: readonly (Fault & { name: string; program: string; why: RegExp })[];
}

function say(name: string, { states, schedules, broken }: Found): void {
  const end = broken ? `broken after ${broken.steps.length} steps: ${broken.why}` : 'unbroken';
  process.stdout.write(`# ${name}: ${states} states, ${schedules} schedules, ${end}\n`);
}

export async function prove<Module>(
  run: typeof test,
  { path, programs, faults }: Subject<Module>,
): Promise<void> {
  const real = await tracked<Module>(path);
  for (const [name, build] of Object.entries(programs)) {
    run(`${path} keeps its promises in every schedule: ${name}`, () => {
      const found = searchInterleavings(build(real));
      say(name, found);
      assert.deepEqual(found.broken, undefined);
      assert.ok(found.schedules > 1n, 'the sides never met');
    });
  }
  for (const { name, program, from, to, why } of faults) {
    run(`the search finds that ${path} ${name}`, async () => {
      const faulty = await tracked<Module>(path, { from, to });
      const found = searchInterleavings(programs[program](faulty));
      say(name, found);
      assert.ok(found.broken, 'the fault was not found');
      assert.match(found.broken.why, why);
    });
  }
}
