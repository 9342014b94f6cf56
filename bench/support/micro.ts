/**
 * The benches of single operations under bench/micro, found by walking the folder. A file either exports a `Bench`, or is a script
 * that prints its own figures; those are shown as they are and have no verdict.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Bench } from './bench.ts';

const folder = fileURLToPath(new URL('../micro/', import.meta.url));

function isBench(value: unknown): value is Bench {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    'run' in value &&
    typeof value.run === 'function'
  );
}

/** Runs in a process of its own: its garbage and its compiled code are not ours. */
function asScript(file: string): Bench {
  const name = basename(file, '.js');
  return {
    name,
    title: `Single operations: ${name}`,
    run() {
      const done = spawnSync(process.execPath, ['--expose-gc', file], {
        encoding: 'utf8',
        timeout: 120_000,
      });
      if (done.status !== 0) throw new Error(`${name}: ${done.stderr.slice(-400)}`);
      const notes = done.stdout.split('\n').filter((line) => line.trim() !== '');
      return Promise.resolve({ readings: [], goals: [], notes });
    },
  };
}

/** Scripts measure when they are imported, so what a file is must be seen before: only one that exports nothing is a script. */
function exportsSomething(path: string): boolean {
  return /^export (?:const|function|class|async)/m.test(readFileSync(path, 'utf8'));
}

export async function microBenches(): Promise<Bench[]> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.js'))
    .toSorted();
  const found: Bench[] = [];
  for (const file of files) {
    const path = join(folder, file);
    if (!exportsSomething(path)) {
      found.push(asScript(path));
      continue;
    }
    const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
    found.push(...Object.values(module).filter(isBench));
  }
  return found;
}
