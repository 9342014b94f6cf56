import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { BrokenCircuitError, ConsecutiveBreaker, circuitBreaker, handleAll } from 'cockatiel';
import * as fc from 'fast-check';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import {
  type Admitted,
  abstained,
  admit,
  Circuit,
  type CircuitCell,
  type CircuitRules,
  circuitState,
  failed,
  openMs,
  ramp,
  succeeded,
  trip,
  wouldAdmit,
} from '../../../src/policy/circuit.ts';
import { isPanic, mayEject } from '../../../src/policy/ejection.ts';
import { runs } from '../../support/runs.ts';

const rules: CircuitRules = { enabled: true, threshold: 5, timeoutMs: 30_000, probes: 1 };
const yes = () => true;

function cell(): CircuitCell {
  return openUpstreamTable(allocateUpstreamTable(1, 1)).circuit(0, 0);
}

function one(of: CircuitCell, nowMs: number, as = rules): Admitted {
  const admitted = admit(of, as, nowMs);
  assert.ok(admitted, 'admitted');
  return admitted;
}

function fail(of: CircuitCell, n: number, nowMs: number, as = rules) {
  for (let at = 0; at < n; at++) failed(of, as, one(of, nowMs, as), nowMs, 0, yes);
}

suite('a circuit', () => {
  test('opens at the threshold of failures in a row, and not before', () => {
    const it = cell();
    fail(it, 4, 0);
    assert.equal(circuitState(it), Circuit.closed);
    fail(it, 1, 0);
    assert.equal(circuitState(it), Circuit.open);
    assert.equal(wouldAdmit(it, rules, 29_999), false);
    assert.equal(admit(it, rules, 29_999), undefined);
  });

  test('a first token in between begins the row anew', () => {
    const it = cell();
    fail(it, 4, 0);
    succeeded(it, one(it, 0), 0);
    fail(it, 4, 0);
    assert.equal(circuitState(it), Circuit.closed);
  });

  test('after its time it admits as many probes as asked for, and closes when all of them reached their first token', () => {
    const it = cell();
    const three = { ...rules, probes: 3 };
    fail(it, 5, 0, three);
    const probes = [1, 2, 3].map(() => one(it, 30_000, three));
    assert.ok(probes.every(({ probe }) => probe));
    assert.equal(admit(it, three, 30_000), undefined, 'a fourth goes elsewhere');
    assert.equal(succeeded(it, probes[2], 30_001), undefined);
    assert.equal(succeeded(it, probes[0], 30_002), undefined);
    assert.equal(succeeded(it, probes[1], 30_003), 'closed');
    assert.equal(circuitState(it), Circuit.closed);
  });

  test('a failed probe opens it again, for longer, with jitter', () => {
    const it = cell();
    fail(it, 5, 0);
    assert.equal(failed(it, rules, one(it, 30_000), 30_000, 0.5, yes), 'opened');
    assert.equal(admit(it, rules, 30_000 + 44_999), undefined);
    assert.ok(admit(it, rules, 30_000 + 45_000));
    assert.deepEqual(
      [openMs(100, 0, 0.9), openMs(100, 1, 0), openMs(100, 1, 1), openMs(100, 40, 1)],
      [100, 100, 200, 300_000],
    );
  });

  test('a client that leaves gives its permit back', () => {
    const it = cell();
    fail(it, 5, 0);
    abstained(it, one(it, 30_000));
    assert.equal(one(it, 30_000).probe, true);
  });

  test('a permit whose stream died with its thread does not keep it half-open for ever', () => {
    const it = cell();
    fail(it, 5, 0);
    const lost = one(it, 30_000);
    assert.equal(admit(it, rules, 59_999), undefined);
    const heir = one(it, 60_000);
    assert.equal(
      failed(it, rules, lost, 60_001, 0, yes),
      undefined,
      'the late verdict of the lost one counts no more',
    );
    assert.equal(succeeded(it, heir, 60_002), 'closed');
  });

  test('a stream of an older life changes nothing', () => {
    const it = cell();
    const old = one(it, 0);
    fail(it, 5, 0);
    succeeded(it, one(it, 30_000), 30_000);
    for (let n = 0; n < 9; n++) failed(it, rules, old, 30_001, 0, yes);
    assert.equal(circuitState(it), Circuit.closed);
  });

  test('opens only where it may', () => {
    const it = cell();
    for (let n = 0; n < 20; n++) failed(it, rules, one(it, 0), 0, 0, () => false);
    assert.equal(circuitState(it), Circuit.closed);
    assert.equal(failed(it, rules, one(it, 0), 0, 0, yes), 'opened');
  });

  test('switched off, it admits everything and never opens', () => {
    const it = cell();
    const off = { ...rules, enabled: false };
    fail(it, 50, 0, off);
    assert.ok(wouldAdmit(it, off, 0));
    assert.equal(circuitState(it), Circuit.closed);
  });

  test('comes back slowly', () => {
    const it = cell();
    fail(it, 5, 0);
    assert.equal(ramp(it, 10_000, 1), 1, 'an open one has no ramp');
    succeeded(it, one(it, 30_000), 30_000);
    assert.deepEqual(
      [30_000, 32_500, 35_000, 40_000].map((now) => ramp(it, 10_000, now)),
      [0.1, 0.25, 0.5, 1],
    );
    assert.equal(ramp(cell(), 10_000, 5), 1, 'one that never was open has none');
  });

  test('works across the wrap of the 32-bit clock', () => {
    const it = cell();
    const start = 2 ** 31 - 10_000;
    fail(it, 5, start | 0);
    assert.equal(admit(it, rules, (start + 29_999) | 0), undefined);
    assert.ok(admit(it, rules, (start + 30_000) | 0));
  });

  test('can be opened for its success rate, by whoever watches that', () => {
    const it = cell();
    assert.equal(trip(it, rules, 0, 0), 'opened');
    assert.equal(trip(it, rules, 0, 0), undefined, 'once');
  });

  test('at most one stream probes, whatever happens in whatever order', () => {
    const steps = fc.array(
      fc.tuple(
        fc.constantFrom('admit', 'succeed', 'fail', 'abstain', 'lose'),
        fc.nat(40_000),
        fc.nat(7),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const it = cell();
        const running: Admitted[] = [];
        let nowMs = 0;
        for (const [what, elapsed, which] of all) {
          nowMs += elapsed;
          if (what === 'admit') {
            const admitted = admit(it, rules, nowMs);
            if (admitted) running.push(admitted);
          } else if (running.length > 0) {
            const [admitted] = running.splice(which % running.length, 1);
            if (what === 'succeed') succeeded(it, admitted, nowMs);
            if (what === 'fail') failed(it, rules, admitted, nowMs, 0.5, yes);
            if (what === 'abstain') abstained(it, admitted);
          }
          const versions = running.filter(({ probe }) => probe).map(({ version }) => version);
          assert.equal(new Set(versions).size, versions.length, 'two probes of one life');
          if (circuitState(it) === Circuit.closed) assert.ok(wouldAdmit(it, rules, nowMs));
        }
        // Whatever was lost: some time later it admits, and one good stream closes it.
        nowMs += 2 * 300_000;
        const admitted = one(it, nowMs);
        if (admitted.probe) assert.equal(succeeded(it, admitted, nowMs), 'closed');
      }),
      runs(500, 10_000),
    );
  });
});

test('cockatiel’s consecutive breaker and ours refuse and admit the same calls, one at a time', async () => {
  const calls = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 20 })), {
    maxLength: 40,
  });
  // The library reads Date.now: the clock is ours for the length of this test.
  const realNow = Date.now;
  try {
    await fc.assert(
      fc.asyncProperty(calls, async (all) => {
        let nowMs = 1_000_000;
        Date.now = () => nowMs;
        const theirs = circuitBreaker(handleAll, {
          halfOpenAfter: 10,
          breaker: new ConsecutiveBreaker(3),
        });
        const ours = cell();
        const same = { ...rules, threshold: 3, timeoutMs: 10 };
        for (const [good, elapsed] of all) {
          nowMs += elapsed;
          const admitted = admit(ours, same, nowMs);
          const refused = await theirs
            .execute(() => (good ? 1 : Promise.reject(new Error('no'))))
            .then(
              () => false,
              (error: unknown) => error instanceof BrokenCircuitError,
            );
          assert.equal(admitted === undefined, refused, `at ${nowMs}`);
          if (!admitted) continue;
          if (good) succeeded(ours, admitted, nowMs);
          // Theirs has a constant open time: ours without growth is the same.
          else if (failed(ours, same, admitted, nowMs, 0, yes) === 'opened') ours.store(3, 0);
        }
      }),
      runs(300, 3_000),
    );
  } finally {
    Date.now = realNow;
  }
});

suite('how many may be out', () => {
  const cap = { ejectedShareMax: 0.5, panicShare: 0.5 };

  test('never the last one, one of two, at most the share of more', () => {
    assert.deepEqual(
      [
        [1, 0],
        [2, 0],
        [2, 1],
        [3, 0],
        [3, 1],
        [4, 1],
        [4, 2],
        [10, 4],
        [10, 5],
      ].map(([serving, out]) => mayEject(cap, serving, out)),
      [false, true, false, true, false, true, false, true, false],
    );
  });

  test('below the share of usable ones circuits count no more', () => {
    assert.deepEqual(
      [isPanic(cap, 4, 2), isPanic(cap, 4, 1), isPanic(cap, 1, 0)],
      [false, true, true],
    );
  });
});
