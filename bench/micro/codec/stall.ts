/**
 * How long the main thread stands still during a storm of 100 KiB compressions: CompressionManager, whose large inputs leave the thread, beside an
 * idle loop and beside the plain way (gzipSync on main). The longest delay of the loop in each window, by a histogram of Node's own.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { CompressionManager } from '../../../src/parts/compression-manager.ts';
import type { Bench, Outcome, Settings } from '../../support/bench.ts';
import { messages, uniform } from '../../support/messages.ts';
import { interleave } from '../../support/rounds.ts';

const INPUT_BYTES = 100 * 1024;
const WINDOW_MS = 1_500;
/** Inputs under way at once. */
const AT_ONCE = 8;

type Storm = (input: Uint8Array) => Promise<void>;

export const stall: Bench = {
  name: 'stall',
  title: 'Stall of the main thread during a storm of 100 KiB compressions',
  run: measure,
};

async function measure(settings: Settings): Promise<Outcome> {
  const inputs = messages(uniform(3), INPUT_BYTES, 8);
  const manager = new CompressionManager();
  const windowMs = settings.quick ? 300 : WINDOW_MS;
  let done = 0;
  const variants = [
    { name: 'idle', storm: undefined },
    {
      name: 'storm, CompressionManager',
      storm: async (input: Uint8Array) => void (await manager.compress(input)),
    },
    {
      name: 'storm, gzipSync on main',
      storm: async (input: Uint8Array) => {
        gzipSync(input);
        await new Promise(setImmediate);
      },
    },
  ];
  const longest = await interleave(variants, settings.rounds, async ({ storm }) => {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const until = performance.now() + windowMs;
    const run = async (at: number, work: Storm | undefined) => {
      while (performance.now() < until) {
        await work?.(inputs[at % inputs.length]);
        done += 1;
      }
    };
    delay.enable();
    const runs = Array.from({ length: storm ? AT_ONCE : 0 }, (_, at) => run(at, storm));
    await Promise.all([pause(windowMs), ...runs]);
    delay.disable();
    return delay.percentile(99.9) / 1e6;
  });
  await manager.close();
  const of = (name: string) => longest.get(name) ?? [];
  const idle = of('idle');
  return {
    readings: variants.map(({ name }) => ({
      what: `${name}: p99.9 of the loop's delay`,
      unit: 'ms',
      values: of(name),
    })),
    goals: [
      {
        what: 'main thread, above idle, at p99.9',
        sense: 'at most',
        limit: 5,
        values: of('storm, CompressionManager').map((value, at) => value - idle[at]),
        unit: 'ms',
      },
    ],
    notes: [`${AT_ONCE} inputs under way at once, ${done} in all; two threads of the jobs pool`],
  };
}
