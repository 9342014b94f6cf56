import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShareWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { schema } from '../../../src/options/schema.ts';
import type { Upstream } from '../../../src/worker/route.ts';
import { Warmth } from '../../../src/worker/warmth.ts';
import { FakeTransport } from '../../support/fake-transport.ts';

function rig(workers: number, rows = 4) {
  const table = openUpstreamTable(allocateUpstreamTable(rows, workers));
  const each = Array.from({ length: workers }, (_, worker) => {
    const transport = new FakeTransport();
    table.claim(worker, 1);
    const warmth = new Warmth({ table, transport, worker, isRetired: () => false });
    return { transport, warmth };
  });
  return { table, each };
}

function upstream(index: number, more: object, origin = `http://u${index}.test`): Upstream {
  const { upstreams } = schema.parse({ upstreams: [{ name: `u${index}`, url: origin, ...more }] });
  const address = { name: `u${index}`, origin };
  return { index, since: 1, options: upstreams[0], address, basePath: '', apiKeys: [] };
}
const standing = (...upstreams: Upstream[]) =>
  upstreams.map((each) => ({ upstream: each, stands: true }));

test('the least is spread one by one over the workers, beginning elsewhere for each upstream', () => {
  for (const workers of [1, 2, 3, 5, 8]) {
    const { each } = rig(workers);
    const all = [0, 1, 2, 3].map((index) => upstream(index, { minConnections: 5 }));
    for (const { warmth } of each) warmth.look(standing(...all), true);
    const totals = each.map(() => 0);
    for (const { address } of all) {
      const shares = each.map(({ transport }) => transport.kept.get(address.origin) ?? -1);
      assert.equal(
        shares.reduce((sum, share) => sum + share),
        5,
        shares.join(),
      );
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1);
      for (const [at, share] of shares.entries()) totals[at] += share;
    }
    if (workers === 8) assert.ok(Math.min(...totals) >= 1, 'nobody is left out');
  }
});

test('never more than the upstream may have; none where no stream may go, where it is switched off, and where an upstream was', () => {
  const { each } = rig(1);
  const [{ warmth, transport }] = each;
  const kept = (index: number) => transport.kept.get(`http://u${index}.test`);
  const small = upstream(0, { maxConnections: 3 });
  warmth.look([...standing(small), { upstream: upstream(1, {}), stands: false }], true);
  assert.deepEqual([kept(0), kept(1)], [3, 0]);
  warmth.look(standing(small), false);
  assert.equal(kept(0), 0);
  warmth.look(standing(small, upstream(2, {})), true);
  warmth.look(standing(small), true);
  assert.deepEqual([kept(0), kept(2)], [3, 0]);
});

test('upstreams of one origin share its sockets', () => {
  const { each } = rig(1);
  const [{ warmth, transport }] = each;
  const origin = 'http://one.test';
  warmth.look(standing(upstream(0, {}, origin), upstream(1, { minConnections: 2 }, origin)), true);
  assert.equal(transport.kept.get(origin), 7);
});

test('when streams need the room, whoever has idle sockets gives some back: busy and idle ones of all workers stay within the most', () => {
  const { table, each } = rig(2);
  const all = standing(upstream(0, { minConnections: 1, maxConnections: 10 }));
  const { origin } = all[0].upstream.address;
  const idle = () => each.map(({ transport }) => transport.idle({ name: '', origin }));
  each[0].transport.idleSockets.set(origin, 6);
  each[1].transport.idleSockets.set(origin, 2);
  const look = () => {
    for (const { warmth } of each) warmth.look(all, true);
  };
  look();
  assert.deepEqual(idle(), [6, 2], 'there is room');
  for (let n = 0; n < 6; n++) table.acquire(0, 1);
  look();
  look();
  assert.ok(6 + idle()[0] + idle()[1] <= 10, idle().join());
  assert.ok(idle()[0] + idle()[1] >= 2, 'not more than needed, but for rounding');
  assert.equal(table.share(0, 0, ShareWord.idleSockets), idle()[0]);
  for (let n = 0; n < 4; n++) table.acquire(0, 1);
  look();
  look();
  assert.deepEqual(idle(), [0, 0]);
  table.setShare(0, 1, ShareWord.idleSockets, 5);
  table.reclaim(1, 1);
  assert.equal(table.share(0, 1, ShareWord.idleSockets), 0, 'a dead worker has none');
});
