/** Goal: every upstream has one row, keeps it over changes, and no row serves two. Method: cases, then random changes against the rules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Placement, UpstreamRoster } from '../../../src/policy/upstream-roster.ts';
import { below, dice } from '../../support/played-upstream.ts';
import { seeded } from '../../support/seed.ts';

const upstream = (name: string, url = `http://${name}.test/v1`) => ({
  name,
  url,
  provider: 'openai-chat' as const,
});
const named = (text: string) => Array.from(text).map((name) => upstream(name));
const idle = () => true;
const rows = (placed: Placement | undefined) => placed?.seats.map(({ row }) => row);

test('rows stay over changes: of the order, of what is added and removed', () => {
  const roster = new UpstreamRoster(8);
  assert.deepEqual(rows(roster.place(named('abc'), 1, idle)), [0, 1, 2]);
  assert.deepEqual(rows(roster.place(named('cdab'), 2, idle)), [2, 3, 0, 1]);
  assert.deepEqual(rows(roster.place(named('d'), 3, idle)), [3]);
  assert.deepEqual(
    roster.left().map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  assert.deepEqual(roster.names(), ['a', 'b', 'c', 'd', '', '', '', '']);
});

test('another URL is another row, of the same name; other fields are not looked at', () => {
  const roster = new UpstreamRoster(4);
  roster.place([{ ...upstream('a'), weight: 1 } as never], 1, idle);
  const same = roster.place([{ ...upstream('a'), weight: 9 } as never], 2, idle);
  assert.deepEqual(same?.seats, [{ row: 0, since: 1 }]);
  const moved = roster.place([upstream('a', 'http://new.test/v1')], 3, idle);
  assert.deepEqual(moved, { seats: [{ row: 1, since: 3 }], handovers: [] });
  assert.deepEqual(roster.names(), ['a', 'a', '', '']);
});

test('who comes back gets its former row, as a new incarnation, even while its streams run there', () => {
  const roster = new UpstreamRoster(4);
  roster.place(named('ab'), 1, idle);
  roster.place(named('b'), 2, idle);
  const back = roster.place(named('ab'), 3, () => false);
  assert.deepEqual(back?.seats, [
    { row: 0, since: 3 },
    { row: 1, since: 1 },
  ]);
});

test('a row goes to another only when nothing runs there and none is unused: the one left longest ago first', () => {
  const roster = new UpstreamRoster(3);
  roster.place(named('abc'), 1, idle);
  roster.place(named('ac'), 2, idle);
  roster.place(named('a'), 3, idle);
  const placed = roster.place(named('ad'), 4, idle);
  assert.deepEqual(placed?.seats[1], { row: 1, since: 4 });
  assert.deepEqual(placed?.handovers, [{ row: 1, from: 'b', to: 'd' }]);
});

test('without a free row nothing changes', () => {
  const roster = new UpstreamRoster(2);
  roster.place(named('ab'), 1, idle);
  roster.place(named('b'), 2, idle);
  assert.equal(
    roster.place(named('cb'), 3, () => false),
    undefined,
  );
  assert.deepEqual(roster.names(), ['a', 'b']);
  assert.deepEqual(rows(roster.place(named('cb'), 4, idle)), [0, 1]);
});

test('random changes: no row twice, none moves, none is taken from running streams', () => {
  const { seed } = seeded('roster');
  for (let run = 0; run < 300; run++) {
    const chance = dice(seed + run);
    const roster = new UpstreamRoster(6);
    const busy = new Set<number>();
    let before = new Map<string, { row: number; since: number }>();
    for (let epoch = 1; epoch < 30; epoch++) {
      const names = Array.from('abcdefgh')
        .filter(() => chance.next() < 0.35)
        .slice(0, 6);
      const placed = roster.place(named(names.join('')), epoch, (row) => !busy.has(row));
      if (!placed) continue;
      const seats = placed.seats;
      assert.equal(new Set(seats.map(({ row }) => row)).size, names.length, 'no row twice');
      for (const { row } of placed.handovers) assert.ok(!busy.has(row), 'streams run there');
      const now = new Map(names.map((name, at) => [name, seats[at]]));
      for (const [name, seat] of now) {
        const was = before.get(name);
        if (was) assert.deepEqual(seat, was, 'who stays keeps its seat');
        else assert.equal(seat.since, epoch);
      }
      before = now;
      busy.clear();
      for (let row = 0; row < 6; row++) if (below(chance, 3) === 0) busy.add(row);
    }
  }
});
