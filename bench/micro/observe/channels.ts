/**
 * What the trace points cost when nobody listens, and with one listener: CPU nanoseconds a call, the loop around it taken off, median of
 * rounds. A token passes three (read, frame, taken); a batch one more.
 * Run: node dist/bench/micro/observe/channels.js
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { tellFrame } from '../../../src/worker/points.ts';
import { Story } from '../../../src/worker/story.ts';

const CALLS = 5_000_000;
const ROUNDS = 9;
const address = { slot: 3, generation: 7, stream: 12 };
let sink = 0;

function cpuNanos(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1_000;
}

function median(measure: () => number): number {
  const all = Array.from({ length: ROUNDS }, measure).toSorted((a, b) => a - b);
  return all[ROUNDS >> 1];
}

// A loop for each case: in one that takes the case as an argument, the call of the argument is what would be measured.
function plain(): number {
  const start = cpuNanos();
  for (let n = 0; n < CALLS; n++) sink += n;
  return (cpuNanos() - start) / CALLS;
}

function points(calls: number): number {
  const start = cpuNanos();
  for (let n = 0; n < calls; n++) {
    sink += n;
    tellFrame(address, n, 100, 0);
  }
  return (cpuNanos() - start) / calls;
}

const story = new Story(0);
function gaps(): number {
  const start = cpuNanos();
  for (let n = 0; n < CALLS; n++) {
    sink += n;
    story.moved(n);
  }
  return (cpuNanos() - start) / CALLS;
}

const base = median(plain);
const silent = median(() => points(CALLS)) - base;
const gap = median(gaps) - base;
const listener = (): void => void (sink += 1);
subscribe('millrace:chunk', listener);
const heard = median(() => points(CALLS / 10)) - base;
unsubscribe('millrace:chunk', listener);
const show = (what: string, ns: number) =>
  process.stdout.write(`${what}: ${Math.max(0, ns).toFixed(2)} ns\n`);
show('a point, nobody listens', silent);
show('the gap between two reads', gap);
show('a point, one listener', heard);
