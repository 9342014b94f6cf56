/**
 * What every measured server does around its work: says its port, answers "memory" with its resident bytes, ends with stdin.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Resident bytes after garbage collection (run with --expose-gc). */
function residentBytes(): number {
  const collect: unknown = Reflect.get(globalThis, 'gc');
  if (typeof collect === 'function') {
    collect();
    collect();
  }
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return Number(kib) * 1024;
}

/** The server listens. Further lines on stdin go to `other`. */
export function ready(port: number, other?: (line: string) => void): void {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    if (line === 'memory') {
      const resident = residentBytes();
      say({ residentBytes: resident, heapBytes: process.memoryUsage().heapUsed });
    } else other?.(line);
  });
  lines.on('close', () => process.exit(0));
  say({ port });
}

/** Settings of this run, one JSON object as the first argument. */
export function settings(): unknown {
  return JSON.parse(process.argv[2] ?? '{}');
}
