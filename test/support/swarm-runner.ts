/**
 * Plays lives of the swarm in processes of their own: the test runner watches every promise, and a life makes very many. `playAll` is the test's side; run
 * as a program, this file is the other side.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { live } from './swarm.ts';

export interface Played {
  readonly seed: number;
  readonly hash: string;
  /** Why it failed: the stack of what was thrown. */
  readonly failure: string | undefined;
  /** Answers by their ends, failures by their codes, and what else was met. */
  readonly met: Readonly<Record<string, number>>;
}

/** All of them, by so many processes; in no order. */
export async function playAll(seeds: readonly number[], processes: number): Promise<Played[]> {
  const shares = Array.from({ length: processes }, (_, at) =>
    seeds.filter((_, index) => index % processes === at),
  );
  const played = await Promise.all(shares.filter(({ length }) => length > 0).map(playShare));
  return played.flat();
}

function playShare(seeds: readonly number[]): Promise<Played[]> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(seeds)], {
    execArgv: ['--enable-source-maps'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const played: Played[] = [];
  child.on('message', (one: Played) => played.push(one));
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => {
      if (code === 0 && played.length === seeds.length) resolve(played);
      else
        reject(
          new Error(`exit ${code} after seed ${played.at(-1)?.seed ?? 'none'} of ${seeds.length}`),
        );
    });
  });
}

async function play(seed: number): Promise<Played> {
  try {
    const { hash, verdicts, met } = await live(seed);
    const { codes, ...ends } = verdicts;
    return {
      seed,
      hash,
      failure: undefined,
      met: { ...ends, ...Object.fromEntries([...codes, ...met]) },
    };
  } catch (thrown) {
    const failure = thrown instanceof Error ? String(thrown.stack) : String(thrown);
    return { seed, hash: '', failure, met: {} };
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const seed of JSON.parse(process.argv[2]) as number[]) process.send?.(await play(seed));
  process.disconnect?.();
}
