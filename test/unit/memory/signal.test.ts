import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordHeader } from '../../../src/memory/contract.ts';
import { allocateRing, ringConsumer, ringProducer } from '../../../src/memory/ring.ts';
import { createPump } from '../../../src/memory/signal.ts';

const header: RecordHeader = {
  length: 0,
  kind: 16,
  flags: 0,
  slot: 0,
  generation: 0,
  stream: 0,
  sequence: 0,
  aux0: 0,
  aux1: 0,
};
const empty = new Uint8Array(0);

/** A loop whose turns the test runs one by one. */
function scene(turnsMax: number, before = 0) {
  const shared = allocateRing(1024);
  const tasks: (() => void)[] = [];
  let drains = 0;
  let handled = 0;
  let rings = 0;
  const consumer = ringConsumer(shared);
  const bell = {
    ring() {
      rings += 1;
      pump.ring();
    },
  };
  const producer = ringProducer(shared, bell);
  const put = () => assert.ok(producer.write(header, empty));
  for (let i = 0; i < before; i++) put();
  const pump = createPump({
    consumer,
    turnsMax,
    soon: (task) => tasks.push(task),
    drain() {
      drains += 1;
      const count = consumer.drain(2, () => {});
      handled += count;
      return count;
    },
  });
  return {
    put,
    pump,
    consumer,
    producer,
    seen: () => ({ drains, handled, rings, turns: tasks.length }),
    turn: () => (tasks.shift() ?? assert.fail('no turn is due'))(),
  };
}

test('starts asleep: the first record rings and is handled at once', () => {
  const { put, seen } = scene(2);
  assert.deepEqual(seen(), { drains: 0, handled: 0, rings: 0, turns: 0 });
  put();
  assert.deepEqual(seen(), { drains: 1, handled: 1, rings: 1, turns: 1 });
});

test('starts turning when records are there already', () => {
  const { seen, turn } = scene(0, 3);
  assert.deepEqual(seen(), { drains: 0, handled: 0, rings: 0, turns: 1 });
  turn();
  turn();
  assert.equal(seen().handled, 3);
});

test('a busy pump needs no bell, polls turnsMax idle turns, then sleeps until the next bell', () => {
  const { put, seen, turn } = scene(2);
  put();
  put();
  turn();
  assert.deepEqual(seen(), { drains: 2, handled: 2, rings: 1, turns: 1 });
  turn();
  assert.equal(seen().turns, 1, 'one idle turn: polls once more');
  turn();
  assert.deepEqual(seen(), { drains: 4, handled: 2, rings: 1, turns: 0 }, 'asleep');
  put();
  assert.deepEqual(seen(), { drains: 5, handled: 3, rings: 2, turns: 1 });
});

test('with turnsMax 0 it sleeps right after its work, but not over records', () => {
  const { put, seen, turn } = scene(0);
  put();
  assert.equal(seen().turns, 0, 'asleep again');
  put();
  assert.deepEqual(seen(), { drains: 2, handled: 2, rings: 2, turns: 0 });
  const more = scene(0, 5);
  more.turn();
  more.turn();
  more.turn();
  assert.deepEqual(more.seen(), { drains: 3, handled: 5, rings: 0, turns: 0 });
  assert.throws(turn, /no turn/);
});

test('a bell while it turns does nothing, also from inside of its drain', () => {
  const { put, pump, seen } = scene(3);
  put();
  pump.ring();
  assert.deepEqual(seen(), { drains: 1, handled: 1, rings: 1, turns: 1 });
  const inside = createPump({
    consumer: { sleep: () => true, wake() {} },
    turnsMax: 0,
    soon: () => assert.fail('asked for a turn'),
    drain() {
      inside.ring();
      return 0;
    },
  });
  inside.ring();
});

test('after stop there are no turns and bells are ignored', () => {
  const { put, pump, seen, turn } = scene(2);
  put();
  pump.stop();
  put();
  turn();
  pump.ring();
  assert.deepEqual(seen(), { drains: 1, handled: 1, rings: 1, turns: 0 });
});

test('a bell while the first turn is due changes nothing', () => {
  const { pump, seen, turn } = scene(0, 1);
  pump.ring();
  assert.deepEqual(seen(), { drains: 0, handled: 0, rings: 0, turns: 1 });
  turn();
  assert.deepEqual(seen(), { drains: 1, handled: 1, rings: 0, turns: 0 });
});

test('a bell that brings no record wakes it all the same, for turnsMax idle turns', () => {
  const { put, pump, seen, turn } = scene(2);
  for (let time = 1; time <= 2; time++) {
    pump.ring();
    assert.equal(seen().turns, 1);
    turn();
    assert.equal(seen().turns, 0, 'asleep after two idle turns');
    assert.equal(seen().drains, 2 * time);
  }
  pump.ring();
  put();
  assert.equal(seen().rings, 0, 'awake: no bell needed');
});

test('a drain that stops its pump and throws does not start it again', () => {
  const tasks: (() => void)[] = [];
  const pump = createPump({
    consumer: { sleep: () => true, wake() {} },
    turnsMax: 2,
    soon: (task) => tasks.push(task),
    drain() {
      pump.stop();
      throw new Error('on purpose');
    },
  });
  assert.throws(() => pump.ring(), /on purpose/);
  assert.equal(tasks.length, 0);
});

test('a drain may stop its own pump', () => {
  let turns = 0;
  const pump = createPump({
    consumer: { sleep: () => true, wake() {} },
    turnsMax: 2,
    soon: () => (turns += 1),
    drain() {
      pump.stop();
      return 1;
    },
  });
  pump.ring();
  assert.equal(turns, 0);
});

test('a throw in drain propagates, and the pump still turns', () => {
  const { producer, consumer } = scene(0);
  const tasks: (() => void)[] = [];
  let broken = true;
  let handled = 0;
  const pump = createPump({
    consumer,
    turnsMax: 0,
    soon: (task) => tasks.push(task),
    drain() {
      if (broken) throw new Error('on purpose');
      return (handled += consumer.drain(9, () => {}));
    },
  });
  consumer.wake();
  producer.write(header, empty);
  assert.throws(() => pump.ring(), /on purpose/);
  broken = false;
  tasks.shift()?.();
  assert.equal(handled, 1);
});
