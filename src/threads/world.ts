/** The real world behind the ports of policy/ports.ts: one per thread. The simulation has its own. */
import { randomFillSync } from 'node:crypto';
import type { Clock, Random, Ticker } from '../policy/ports.ts';
import { sharedNow } from './shared-now.ts';

export const systemClock: Clock = {
  now: sharedNow,
  wall: () => Date.now(),
};

export const systemRandom: Random = {
  next: () => Math.random(),
  fill: (bytes) => void randomFillSync(bytes),
};

export const systemTicker: Ticker = {
  every(periodMs, tick) {
    const timer = setInterval(tick, periodMs);
    return () => clearInterval(timer);
  },
  soon: (task) => void setImmediate(task),
  after(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};
