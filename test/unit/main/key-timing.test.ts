/** How long a wrong key is looked at says nothing about how much of it was right. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccept } from '../../../src/main/accept.ts';
import type { RequestHead } from '../../../src/main/backend/backend.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import { seeded } from '../../support/seed.ts';

const KEY = 'sk-0123456789abcdef0123456789abcdef0123456789abcdef';
const SAMPLES = process.env.SLOW ? 20_000 : 4_000;
/** Decisions per sample: one alone is below the clock's grain. */
const CALLS = 8;
const T_MAX = 4.5;
/** A real leak shows every time; a busy machine does not. */
const ATTEMPTS = 4;

function headWith(key: string): RequestHead {
  const headers: Record<string, string> = { host: 'localhost', authorization: `Bearer ${key}` };
  return {
    method: 'GET',
    path: '/v1/responses',
    query: '',
    header: (name) => headers[name],
    hosts: 1,
    address: '127.0.0.1',
  };
}

/** Welch's t of two samples, each without its slowest tenth (interrupts, collections). */
function welch(a: Float64Array, b: Float64Array): number {
  const [x, y] = [a, b].map((all) => all.toSorted().subarray(0, Math.floor(all.length * 0.9)));
  const mean = (all: Float64Array) => all.reduce((sum, n) => sum + n, 0) / all.length;
  const spread = (all: Float64Array, m: number) =>
    all.reduce((sum, n) => sum + (n - m) ** 2, 0) / (all.length - 1) / all.length;
  const [mx, my] = [mean(x), mean(y)];
  return (mx - my) / Math.sqrt(spread(x, mx) + spread(y, my));
}

test('wrong keys that share no byte and all but one byte with a right key take the same time', (t) => {
  const { options } = resolveOptions({
    code: { keys: ['sk-another-key', KEY], server: { handshakesPerSecondMax: 1_000_000 } },
  });
  const accept = createAccept(options);
  const { next } = seeded('key timing');
  const classes = ['X'.repeat(KEY.length), `${KEY.slice(0, -1)}X`].map(headWith);
  let ms = 0;
  const look = (head: RequestHead) => {
    const before = process.hrtime.bigint();
    for (let call = 0; call < CALLS; call++) {
      ms += 0.01;
      const verdict = accept.decide(head, ms, 0);
      assert.ok(!(verdict instanceof Promise) && verdict.kind === 'refuse');
    }
    return Number(process.hrtime.bigint() - before);
  };
  let worst = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS && worst >= T_MAX; attempt++) {
    const times = classes.map(() => new Float64Array(SAMPLES));
    for (let n = -500; n < SAMPLES; n++) {
      // In random order, so that drifts hit both alike.
      const order = next() < 0.5 ? [0, 1] : [1, 0];
      for (const each of order) {
        const took = look(classes[each]);
        if (n >= 0) times[each][n] = took;
      }
    }
    worst = Math.min(worst, Math.abs(welch(times[0], times[1])));
    t.diagnostic(`Welch's t: ${worst.toFixed(2)}`);
  }
  assert.ok(worst < T_MAX, `t = ${worst}: the time tells how much of the key was right`);
});
