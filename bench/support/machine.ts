/** Which machine, which Node, which commit: without them a figure says nothing. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

export interface About {
  readonly at: string;
  readonly command: string;
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  readonly placed: string;
  readonly loadAverage: number;
}

function git(...args: string[]): string {
  const done = spawnSync('git', args, { encoding: 'utf8' });
  return done.status === 0 ? done.stdout.trim() : '';
}

function libc(): string {
  try {
    return /^PRETTY_NAME="(.*)"/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

export function machine(command: string, pin: boolean): About {
  const dirty = git('status', '--porcelain') === '' ? '' : ' and changes';
  const gib = Math.round(totalmem() / 2 ** 30);
  const model = cpus()[0]?.model ?? 'unknown processor';
  const pinned = pin && availableParallelism() >= 2;
  return {
    at: new Date().toISOString(),
    command,
    commit: `${git('rev-parse', '--short', 'HEAD') || 'unknown'}${dirty}`,
    machine: `${availableParallelism()} x ${model}, ${gib} GiB, Linux ${release()}, ${libc()}`,
    node: process.version,
    placed: pinned ? 'server on core 0, clients and upstream on core 1' : 'not pinned',
    loadAverage: loadavg()[0] ?? 0,
  };
}
