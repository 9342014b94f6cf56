/** Goal: changed options count as written only when a coordinator has written them, whatever becomes of it. Method: threads of callbacks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Coordination } from '../../../src/main/coordination.ts';
import { allocateThreadCells, openThreadCells } from '../../../src/memory/thread-cells.ts';
import { schema } from '../../../src/options/schema.ts';
import type {
  Configuration,
  FromCoordinator,
  ToCoordinator,
} from '../../../src/threads/messages.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';

interface Thread {
  readonly started: Configuration;
  readonly told: Extract<ToCoordinator, { type: 'configure' }>[];
  say(message: FromCoordinator): void;
  die(): void;
}

const options = schema.parse({ threads: { startTimeoutMs: 2_000, hungAfterMs: 3_000 } });
const of = (epoch: number): Configuration => ({ epoch, options, seats: [] });

async function setting() {
  const world = new SimulatedWorld();
  const threads: Thread[] = [];
  const coordination = new Coordination({
    spawn(_, started) {
      let heard: (message: FromCoordinator) => void = () => {};
      let die: (reason: string) => void = () => {};
      const gone = new Promise<string>((resolve) => {
        die = resolve;
      });
      const told: Thread['told'] = [];
      const say = (message: FromCoordinator) => heard(message);
      threads.push({ started, told, say, die: () => die('it died') });
      return {
        channel: {
          post: (message) => void (message.type === 'configure' && told.push(message)),
          listen(handler) {
            heard = handler;
          },
          bell: { ring() {} },
          unref() {},
          close() {},
        },
        gone,
        end: () => Promise.resolve(),
      };
    },
    configuration: of(1),
    cells: openThreadCells(allocateThreadCells(4)),
    clock: world.clock,
    ticker: world.ticker,
    fact() {},
  });
  const starting = coordination.start();
  threads[0].say({ type: 'ready' });
  await starting;
  const written: number[] = [];
  const change = (epoch: number) =>
    void coordination.configure(of(epoch)).then(() => written.push(epoch));
  return { world, threads, change, written };
}

test('its answer says that they are written', async () => {
  const { world, threads, change, written } = await setting();
  change(2);
  await world.settle();
  assert.deepEqual(written, []);
  threads[0].say({ type: 'answer', id: threads[0].told[0].id });
  await world.settle();
  assert.deepEqual(written, [2]);
  await world.pass(10_000);
  assert.deepEqual(written, [2], 'once');
});

test('it dies over them: the next one begins with the newest, and its start says that they are written', async () => {
  const { world, threads, change, written } = await setting();
  change(2);
  change(3);
  threads[0].die();
  await world.pass(1);
  assert.equal(threads[1].started.epoch, 3);
  assert.deepEqual(written, []);
  threads[1].say({ type: 'ready' });
  await world.settle();
  assert.deepEqual(written, [2, 3]);
});

test('they change while the next one starts: its start is not enough, its answer is', async () => {
  const { world, threads, change, written } = await setting();
  threads[0].die();
  await world.pass(1);
  change(2);
  threads[1].say({ type: 'ready' });
  await world.settle();
  assert.deepEqual(written, []);
  threads[1].say({ type: 'answer', id: threads[1].told[0].id });
  await world.settle();
  assert.deepEqual(written, [2]);
});

test('nobody waits for longer than a replacement may take', async () => {
  const { world, threads, change, written } = await setting();
  change(2);
  threads[0].die();
  await world.pass(4_999);
  assert.deepEqual(written, []);
  await world.pass(2);
  assert.deepEqual(written, [2]);
});
