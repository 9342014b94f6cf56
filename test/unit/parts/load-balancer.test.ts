/** Goal: the guide's load balancing, alone. Method: counts over whole rounds; chance and clock of our own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import { LoadBalancer, type LoadBalanceStrategy } from '../../../src/parts/load-balancer.ts';
import { dice } from '../../support/played-upstream.ts';

function three(strategy: LoadBalanceStrategy, weights = [1, 1, 1]) {
  const chance = dice(7);
  const random = () => chance.next();
  const balancer = new LoadBalancer<number>({ strategy, random, clock: () => 1_000 });
  for (const [at, weight] of weights.entries()) balancer.add('abc'[at], at, { weight });
  const turns = (n: number, keep = false) =>
    Array.from({ length: n }, () => {
      const picked = balancer.select();
      if (!keep) picked?.release();
      return picked?.id;
    }).join('');
  return { balancer, turns };
}
const counts = (text: string) => ['a', 'b', 'c'].map((id) => text.split(id).length - 1);

test('round robin goes round, weighted round robin spreads its turns, random reaches everybody', () => {
  assert.deepEqual(counts(three('RoundRobin').turns(300)), [100, 100, 100]);
  assert.equal(three('WeightedRoundRobin', [5, 1, 1]).turns(7), 'aabacaa');
  for (const count of counts(three('Random').turns(3_000))) assert.ok(count > 900 && count < 1_100);
});

test('least connections gives to whom has the least for its weight, and counts until a release, once', () => {
  const { balancer, turns } = three('LeastConnections', [2, 1, 1]);
  assert.deepEqual(counts(turns(400, true)), [200, 100, 100]);
  const picked = balancer.select((id) => id === 'b');
  assert.equal(picked?.id, 'b');
  picked?.release();
  picked?.release();
  assert.deepEqual(
    balancer.getStats().map(({ id, inFlight, selected }) => [id, inFlight, selected]),
    [
      ['a', 200, 200],
      ['b', 100, 101],
      ['c', 100, 100],
    ],
  );
});

test('P2C follows the time to the first token', () => {
  const { balancer, turns } = three('P2C');
  for (let n = 0; n < 50; n++) {
    const picked = balancer.select();
    picked?.release(picked.id === 'a' ? 500 : 5);
  }
  const [a, b, c] = counts(turns(300));
  assert.ok(a === 0 && b > 100 && c > 100, 'the slow one never wins');
});

test('who is removed is not selected, may be released, and its id may come again; nobody left is undefined', () => {
  const { balancer, turns } = three('WeightedRoundRobin', [5, 1, 1]);
  const held = balancer.select();
  assert.equal(held?.id, 'a');
  assert.deepEqual([balancer.remove('a'), balancer.remove('a')], [true, false]);
  assert.deepEqual(counts(turns(10)), [0, 5, 5]);
  balancer.add('a', 9);
  held?.release();
  assert.deepEqual(
    balancer.getStats().find(({ id }) => id === 'a'),
    { id: 'a', weight: 1, inFlight: 0, selected: 0 },
  );
  assert.equal(balancer.select((id) => id === 'a')?.value, 9);
  for (const id of ['a', 'b', 'c']) balancer.remove(id);
  assert.equal(balancer.select(), undefined);
  assert.equal(balancer.size, 0);
  assert.equal(
    three('Random').balancer.select(() => false),
    undefined,
  );
});

test('an id twice and weights out of bounds are told', () => {
  const { balancer } = three('Random');
  const code = (work: () => unknown) => {
    try {
      work();
    } catch (thrown) {
      return thrown instanceof MillraceError && thrown.code;
    }
    return undefined;
  };
  assert.equal(
    code(() => balancer.add('a', 1)),
    'MILLRACE_FIELD_INVALID',
  );
  for (const weight of [0, 65_536, 1.5, Number.NaN])
    assert.equal(
      code(() => balancer.add('x', 1, { weight })),
      'MILLRACE_FIELD_INVALID',
    );
  for (const weight of [1, 65_535]) balancer.add(`w${weight}`, 1, { weight });
});
