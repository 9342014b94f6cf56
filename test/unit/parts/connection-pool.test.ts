/** Goal: the guide's ConnectionPool, alone, with real limits. Method: simulated time; connections that are objects; a property over random lives of a pool. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MillraceError } from '../../../src/errors.ts';
import {
  ConnectionPool,
  type FailoverConfig,
  type PoolConfig,
  type Selected,
} from '../../../src/parts/connection-pool.ts';
import { dice } from '../../support/played-upstream.ts';
import { runs } from '../../support/runs.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';

interface Line {
  readonly name: number;
  works: boolean;
  open: boolean;
}

function rig(config: Partial<PoolConfig<Line>> = {}, failover: FailoverConfig = {}, seed = 1) {
  const chance = dice(seed);
  const sim = new SimulatedWorld(() => chance.next());
  const lines: Line[] = [];
  const state = { refuses: false };
  const pool = new ConnectionPool<Line>(
    {
      open: async () => {
        if (state.refuses) throw new Error('refused');
        const line = { name: lines.length, works: true, open: true };
        lines.push(line);
        return line;
      },
      check: ({ works }) => works,
      close: (line) => {
        assert.ok(line.open, 'closed once');
        line.open = false;
      },
      ...config,
    },
    failover,
    {
      clock: sim.clock,
      random: () => chance.next(),
      after: (ms, task) => sim.ticker.after(ms, task),
    },
  );
  const open = () => lines.filter((line) => line.open).length;
  return { sim, pool, lines, open, state };
}

const rejection = async (promise: Promise<unknown>) => {
  try {
    await promise;
  } catch (thrown) {
    return thrown instanceof MillraceError ? thrown.code : String(thrown);
  }
  return undefined;
};

test('the guide’s life of a pool: five connections, one more, selected, removed, counted', async () => {
  const { sim, pool } = rig();
  await sim.settle();
  assert.equal(pool.getStats().activeConnections, 5);
  const id = await pool.addConnection();
  const selected = await pool.selectConnection();
  const stats = pool.getStats();
  assert.deepEqual(
    [stats.activeConnections, stats.idleConnections, stats.maxConnections, stats.selected],
    [6, 5, 50, 1],
  );
  selected.release();
  assert.equal(await pool.removeConnection(id), true);
  assert.equal(await pool.removeConnection(id), false);
  assert.equal(pool.getStats().activeConnections, 5);
});

test('without `open` connections are only counted: they come and go with addConnection and removeConnection', async () => {
  const pool = new ConnectionPool({ maxConnections: 2, minConnections: 0 });
  const one = await pool.addConnection();
  await pool.addConnection();
  assert.equal(await rejection(pool.addConnection()), 'MILLRACE_POOL_FULL');
  await pool.removeConnection(one);
  assert.equal(pool.getStats().activeConnections, 1);
  await pool.close();
  assert.equal(await rejection(pool.selectConnection()), 'MILLRACE_POOL_CLOSED');
  assert.equal(await rejection(pool.addConnection()), 'MILLRACE_POOL_CLOSED');
  assert.equal(await rejection(pool.run(() => 1)), 'MILLRACE_POOL_CLOSED');
});

test('one user each: more are opened for whoever waits, up to the most; then they wait in order, within bound and deadline', async () => {
  const { sim, pool, open } = rig({
    minConnections: 1,
    maxConnections: 3,
    usersPerConnectionMax: 1,
    waitersMax: 2,
    waitTimeoutMs: 500,
  });
  await sim.settle();
  const held = [pool.selectConnection(), pool.selectConnection(), pool.selectConnection()];
  await sim.settle();
  const [first] = await Promise.all(held);
  assert.equal(open(), 3);
  const order: string[] = [];
  const waits = ['a', 'b'].map((name) =>
    pool.selectConnection().then((selected) => {
      order.push(name);
      return selected;
    }),
  );
  await sim.settle();
  assert.equal(await rejection(pool.selectConnection()), 'MILLRACE_POOL_BUSY', 'too many wait');
  await sim.pass(400);
  first.release();
  await sim.settle();
  assert.deepEqual(order, ['a']);
  const late = rejection(waits[1]);
  await sim.pass(100);
  assert.equal(await late, 'MILLRACE_POOL_BUSY');
  assert.equal(pool.getStats().waiting, 0);
});

test('after the load the pool shrinks to its least, and never closes one in use', async () => {
  const { sim, pool, open } = rig({
    minConnections: 2,
    maxConnections: 20,
    usersPerConnectionMax: 1,
  });
  const held: Selected<Line>[] = [];
  for (let n = 0; n < 12; n++) {
    const selected = pool.selectConnection();
    await sim.settle();
    held.push(await selected);
  }
  await sim.pass(10_000);
  assert.ok(open() >= 12);
  for (const selected of held.splice(1)) selected.release();
  await sim.pass(60_000);
  assert.equal(open(), 2);
  assert.ok(held[0].connection.open);
});

test('a connection whose check fails leaves at once, for its users when they are done, and is replaced', async () => {
  const { sim, pool, lines, open } = rig({ minConnections: 3, healthCheckIntervalMs: 1_000 });
  await sim.settle();
  const selected = await pool.selectConnection();
  const bad = selected.connection;
  bad.works = false;
  await sim.pass(1_200);
  await sim.pass(1_000);
  assert.equal(pool.getStats().activeConnections, 3);
  assert.deepEqual([lines.length, open(), bad.open], [4, 4, true]);
  selected.release();
  await sim.settle();
  assert.equal(bad.open, false);
});

test('old ones are replaced when nobody uses them, not all at once', async () => {
  const { sim, pool, lines, open } = rig({ minConnections: 10, ageMsMax: 100_000 });
  await sim.settle();
  const selected = await pool.selectConnection();
  await sim.pass(89_000);
  assert.equal(lines.length, 10);
  await sim.pass(6_000);
  assert.ok(lines.length > 10 && lines.length < 19, `${lines.length}`);
  await sim.pass(7_000);
  assert.equal(lines.length, 19);
  assert.ok(selected.connection.open);
  selected.release();
  await sim.pass(2_000);
  assert.deepEqual([lines.length, open()], [20, 10]);
});

test('an upstream that refuses connections costs nothing but tries; whoever waits learns why', async () => {
  const { sim, pool, state, open } = rig({ minConnections: 2, waitTimeoutMs: 3_000 });
  state.refuses = true;
  await sim.settle();
  const { pool: other, sim: its, state: its_ } = rig({ minConnections: 0, waitTimeoutMs: 3_000 });
  its_.refuses = true;
  const waiting = other.selectConnection().catch((thrown: unknown) => thrown as MillraceError);
  await its.pass(3_000);
  const error = (await waiting) as MillraceError;
  assert.equal(error.code, 'MILLRACE_POOL_BUSY');
  assert.equal(String(error.cause), 'Error: refused');
  assert.ok(other.getStats().openFailures > 0);
  state.refuses = false;
  await sim.pass(2_000);
  assert.equal(open(), 2);
  await pool.close();
});

test('failover: another connection at once, the same one after a wait, at most maxRetries; then the last reason', async () => {
  const { sim, pool } = rig(
    { minConnections: 2, maxConnections: 2 },
    { maxRetries: 3, retryDelayMs: 100 },
  );
  await sim.settle();
  const seen: { id: string; at: number }[] = [];
  const fails = (times: number) => {
    seen.length = 0;
    return pool.run((_, { id, attempt }) => {
      seen.push({ id, at: sim.clock.now() });
      if (attempt <= times) throw new Error(`no ${attempt}`);
      return attempt;
    });
  };
  const quick = fails(1);
  await sim.settle();
  assert.equal(await quick, 2);
  assert.notEqual(seen[0].id, seen[1].id);
  const slow = fails(3);
  await sim.pass(5_000);
  assert.equal(await slow, 4);
  assert.equal(seen[1].at, seen[0].at, 'the other one at once');
  assert.ok(seen[2].at > seen[1].at, 'then after a wait');
  const never = rejection(fails(9));
  await sim.pass(60_000);
  assert.equal(await never, 'Error: no 4');
  assert.equal(pool.getStats().idleConnections, 2);
});

test('the circuit of a connection that fails opens after so many failures in a row, its probe closes it; never the last one', async () => {
  const { sim, pool, lines } = rig(
    { minConnections: 2, maxConnections: 2, enableAutoScaling: false },
    { circuitBreakerThreshold: 3, circuitBreakerTimeoutMs: 1_000, maxRetries: 1 },
  );
  await sim.settle();
  lines[0].works = false;
  const ask = async () => {
    const done = pool.run((line) => {
      if (line === lines[0] && !line.works) throw new Error('broken');
      return line.name;
    });
    await sim.settle();
    return done;
  };
  for (let n = 0; n < 20; n++) assert.equal(await ask(), 1);
  assert.deepEqual([pool.getStats().openCircuits, pool.getStats().failed], [1, 3]);
  lines[0].works = true;
  await sim.pass(1_000);
  const names = new Set<number>();
  for (let n = 0; n < 20; n++) names.add(await ask());
  assert.deepEqual([names.size, pool.getStats().openCircuits], [2, 0]);
  for (let n = 0; n < 20; n++) {
    const tried = rejection(pool.run(() => Promise.reject(new Error('all'))));
    await sim.pass(200);
    assert.equal(await tried, 'Error: all');
  }
  assert.equal(pool.getStats().openCircuits, 1, 'one of two');
});

test('close: whoever waits is told, those in use close with their release, nothing runs on', async () => {
  const { sim, pool, open } = rig({
    minConnections: 1,
    maxConnections: 1,
    usersPerConnectionMax: 1,
  });
  await sim.settle();
  const selected = await pool.selectConnection();
  const waiting = rejection(pool.selectConnection());
  await pool.close();
  assert.equal(await waiting, 'MILLRACE_POOL_CLOSED');
  assert.equal(open(), 1);
  selected.release();
  await sim.settle();
  assert.equal(open(), 0);
  assert.equal(sim.timers, 0);
});

test('settings that cannot be kept are told by name', () => {
  for (const [config, name] of [
    [{ maxConnections: 0 }, 'maxConnections'],
    [{ minConnections: 51 }, 'minConnections'],
    [{ scaleUpThreshold: 0.2 }, 'scaleDownThreshold'],
    [{ scaleUpThreshold: 1.1 }, 'scaleUpThreshold'],
    [{ healthCheckIntervalMs: 0 }, 'healthCheckIntervalMs'],
    [{ waitersMax: -1 }, 'waitersMax'],
    [{ usersPerConnectionMax: 0 }, 'usersPerConnectionMax'],
  ] as const)
    assert.throws(
      () => new ConnectionPool(config),
      new RegExp(`^MillraceError.*: ${name} must be`, 's'),
    );
  assert.throws(() => new ConnectionPool({}, { maxRetries: -1 }), /maxRetries must be/);
});

test('whatever happens in whatever order: bounds hold, whoever selects has an open connection alone, everything opened is closed once', async () => {
  const step = fc.constantFrom(
    'select',
    'release',
    'fail',
    'add',
    'remove',
    'break',
    'refuse',
    'pass',
  );
  const number = fc.nat(20);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(step, number), { maxLength: 80 }),
      fc.nat(),
      async (steps, seed) => {
        const { sim, pool, lines, open, state } = rig(
          {
            minConnections: 2,
            maxConnections: 6,
            usersPerConnectionMax: 1,
            ageMsMax: 20_000,
            waitTimeoutMs: 900,
            waitersMax: 5,
          },
          { circuitBreakerThreshold: 2 },
          seed,
        );
        const held: Selected<Line>[] = [];
        const check = () => {
          const stats = pool.getStats();
          assert.ok(stats.activeConnections <= 6 && stats.waiting <= 5);
          assert.equal(
            new Set(held.map(({ connection }) => connection)).size,
            held.length,
            'alone',
          );
          assert.ok(held.every(({ connection }) => connection.open));
        };
        for (const [what, n] of steps) {
          if (what === 'select')
            void pool.selectConnection().then(
              (each) => held.push(each),
              () => {},
            );
          if (what === 'release') held.splice(n % (held.length || 1), 1)[0]?.release();
          if (what === 'fail') held.splice(n % (held.length || 1), 1)[0]?.release('failed');
          if (what === 'add') void pool.addConnection().catch(() => {});
          if (what === 'remove') void pool.removeConnection(`conn-${n}`);
          if (what === 'break' && lines[n]) lines[n].works = false;
          if (what === 'refuse') state.refuses = n % 2 === 0;
          await sim.pass(what === 'pass' ? 400 * n : 0);
          check();
        }
        void pool.close();
        await sim.settle();
        for (const each of held.splice(0)) each.release();
        await sim.settle();
        assert.deepEqual([open(), pool.getStats().activeConnections, sim.timers], [0, 0, 0]);
        const { opened, closed } = pool.getStats();
        assert.equal(opened, closed);
      },
    ),
    runs(100, 3_000),
  );
});
