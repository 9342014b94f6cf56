/** Several keys of one upstream: each rests alone, and the upstream only when all of them do. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

const apiKeys = ['key-b', 'key-c'];
const upstream = { name: 'one', url: 'http://one.test/v1', apiKey: 'key-a', apiKeys };

function start(upstreams: object[] = [upstream]) {
  const r = rig({ options: { upstreams: upstreams as never, stream: { maxRetries: 5 } } });
  r.open(1);
  return r;
}

const keyOf = (r: Rig) =>
  r.transport.last.request.headers['authorization']?.slice('Bearer '.length);
const limited = (r: Rig, s: string) =>
  r.transport.last.sent().head(429, { 'retry-after': s }).end();

async function answered(r: Rig, turn: number) {
  r.transport.last.answer('fine');
  await r.settle();
  assert.equal(r.text(turn), 'fine');
}

async function asked(r: Rig): Promise<[turn: number, key: string | undefined]> {
  const turn = r.ask(1);
  await r.settle();
  return [turn, keyOf(r)];
}

describe('several keys', () => {
  test('take turns', async () => {
    const r = start();
    const seen: (string | undefined)[] = [];
    for (let n = 0; n < 6; n += 1) {
      const [turn, key] = await asked(r);
      seen.push(key);
      await answered(r, turn);
    }
    assert.deepEqual(seen, ['key-a', 'key-b', 'key-c', 'key-a', 'key-b', 'key-c']);
    r.assertIdle();
  });

  test('a limited one rests alone: the next is tried at once, and it is asked again when its time has come', async () => {
    const r = start();
    const [turn] = await asked(r);
    limited(r, '2');
    await r.settle();
    assert.equal(keyOf(r), 'key-b', 'at once');
    assert.equal(r.parts.table.get(0, UpstreamWord.cooldownUntil), 0, 'the upstream does not rest');
    await answered(r, turn);
    const seen: (string | undefined)[] = [];
    for (let n = 0; n < 3; n += 1) {
      const [next, key] = await asked(r);
      seen.push(key);
      await answered(r, next);
    }
    assert.deepEqual(seen, ['key-c', 'key-b', 'key-c']);
    await r.pass(2010);
    const [after, key] = await asked(r);
    assert.equal(key, 'key-a');
    await answered(r, after);
    assert.deepEqual(r.outcomes(0)[2], 0, 'nobody is to blame');
    r.assertIdle();
  });

  test('all of them limited: the upstream rests until the first may be used', async () => {
    const r = start();
    const [turn] = await asked(r);
    for (const seconds of ['30', '2', '20']) {
      limited(r, seconds);
      await r.settle();
    }
    assert.equal(r.transport.exchanges.length, 3);
    assert.notEqual(r.parts.table.get(0, UpstreamWord.cooldownUntil), 0);
    await r.pass(2300);
    assert.equal(r.transport.exchanges.length, 4);
    assert.equal(keyOf(r), 'key-b');
    await answered(r, turn);
    r.assertIdle();
  });

  test('one that is refused rests for five minutes, is told once and without the key, and blames nobody', async () => {
    const r = start();
    const [turn] = await asked(r);
    r.transport.last.sent().head(401).bytes('{"error":{"message":"bad key-a"}}').end();
    await r.settle();
    assert.equal(keyOf(r), 'key-b');
    await answered(r, turn);
    await r.pass(200_000);
    for (let n = 0; n < 4; n += 1) {
      const [next, key] = await asked(r);
      assert.notEqual(key, 'key-a');
      await answered(r, next);
    }
    const told = r.parts.facts.filter(({ fact }) => fact === 'upstream-key-refused');
    assert.deepEqual(told, [
      { fact: 'upstream-key-refused', upstream: 'one', key: 1, status: 401 },
    ]);
    assert.ok(!JSON.stringify(r.parts.facts).includes('key-a'));
    assert.deepEqual(r.outcomes(0)[2], 0);
    await r.pass(100_010);
    let back = false;
    for (let n = 0; n < 3; n += 1) {
      const [next, key] = await asked(r);
      back ||= key === 'key-a';
      await answered(r, next);
    }
    assert.ok(back, 'after five minutes it is tried again');
    r.assertIdle();
  });

  test('the rest of a key holds in every worker: it stands in shared memory', async () => {
    const r = start();
    const [turn] = await asked(r);
    limited(r, '5');
    await r.settle();
    await answered(r, turn);
    const until = r.parts.table.keyRest(0, 0);
    assert.equal((until - (r.world.clock.wall() | 0)) | 0, 5000);
    assert.deepEqual([r.parts.table.keyRest(0, 1), r.parts.table.keyRest(1, 0)], [0, 0]);
    r.parts.table.clearKeys(0);
    assert.equal(r.parts.table.keyRest(0, 0), 0);
    r.assertIdle();
  });
});

test('a single key that is refused is a failure of its upstream, as ever', async () => {
  const r = start([
    { name: 'one', url: 'http://one.test/v1', apiKey: 'key-a' },
    { name: 'two', url: 'http://two.test/v1' },
  ]);
  const [turn] = await asked(r);
  r.transport.last.sent().head(401).bytes('{}').end();
  await r.settle();
  assert.equal(r.transport.last.upstream, 'two');
  await answered(r, turn);
  assert.equal(r.outcomes(0)[2], 1);
  r.assertIdle();
});
