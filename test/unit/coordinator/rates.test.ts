import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Board } from '../../../src/coordinator/board.ts';
import { Rates } from '../../../src/coordinator/rates.ts';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { schema, type UserOptions } from '../../../src/options/schema.ts';
import { Circuit, CircuitWord, circuitState } from '../../../src/policy/circuit.ts';
import { Health } from '../../../src/policy/health.ts';
import type { Fact } from '../../../src/threads/facts.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';

function rig(upstreams: UserOptions['upstreams'], balance: UserOptions['balance'] = {}) {
  const world = new SimulatedWorld();
  const table = openUpstreamTable(allocateUpstreamTable(4, 2));
  const facts: Fact[] = [];
  const { clock, random } = world;
  const rates = new Rates({ table, clock, random, publish: (fact) => void facts.push(fact) });
  const board = new Board(table);
  const configure = (list: UserOptions['upstreams']) => {
    const options = schema.parse({ upstreams: list, balance });
    const seats = options.upstreams.map((_, row) => ({ row, since: 1 }));
    board.write(options, seats);
    rates.configure(options, seats);
  };
  configure(upstreams);
  rates.look();
  const count = (row: number, good: number, bad: number, model = 0) => {
    table.circuit(row, model).add(CircuitWord.succeeded, good);
    table.circuit(row, model).add(CircuitWord.failed, bad);
  };
  const state = (row: number, model = 0) => circuitState(table.circuit(row, model));
  return { table, facts, rates, board, configure, count, state };
}

const named = (...models: string[][]) =>
  models.map((list, at) => ({ name: `u${at}`, url: `http://u${at}.test/v1`, models: list }));

test('an upstream that fails every third answer, never many in a row, is taken out for that model, once, and said', () => {
  const { table, facts, rates, count, state } = rig(named(['a', 'b'], ['a', 'b'], ['b']));
  const epoch = table.epoch();
  count(0, 20, 10, 1);
  assert.equal(rates.look(), true, 'failures came: soon again');
  assert.deepEqual([state(0, 0), state(0, 1)], [Circuit.closed, Circuit.open]);
  rates.look();
  assert.deepEqual(facts, [
    { fact: 'upstream-circuit', upstream: 'u0', model: 'b', change: 'opened', successShare: 2 / 3 },
  ]);
  assert.notEqual(table.epoch(), epoch, 'readers see it');
});

test('never the last one, whether the others are out by circuit, health or hand', () => {
  const { table, board, rates, count, state } = rig(named(['a'], ['a'], ['a']));
  count(0, 0, 30);
  rates.look();
  assert.equal(state(0), Circuit.open);
  table.set(1, UpstreamWord.health, Health.failed);
  count(2, 0, 30);
  rates.look();
  assert.equal(state(2), Circuit.closed);
  board.probed(1, Health.good);
  rates.look();
  assert.equal(state(2), Circuit.open, 'there is another one again');
  board.drain('u1', true);
  count(1, 0, 30);
  rates.look();
  assert.equal(state(1), Circuit.closed);
});

test('models that nobody names share circuits among the upstreams that name none; WebSocket back ends stand apart', () => {
  const { facts, rates, count, state } = rig([
    { name: 'u0', url: 'http://u0.test' },
    { name: 'u1', url: 'http://u1.test' },
    { name: 'ws', url: 'ws://ws.test', provider: 'websocket' },
    { name: 'named', url: 'http://named.test', models: ['a'] },
  ]);
  for (const row of [2, 3]) count(row, 0, 30);
  rates.look();
  assert.deepEqual([state(2), state(3)], [Circuit.closed, Circuit.closed], 'each is alone');
  count(1, 0, 30, 17);
  rates.look();
  assert.equal(state(1, 17), Circuit.open);
  assert.deepEqual(
    facts.map((fact) => 'model' in fact && fact.model),
    ['*'],
  );
});

test('switched off, nothing is looked at; changed options keep the window of who stays', () => {
  for (const balance of [{ enableCircuitBreaker: false }, { circuitBreakerSuccessShare: 0 }]) {
    const off = rig(named(['a'], ['a']), balance);
    off.count(0, 0, 100);
    assert.equal(off.rates.look(), false);
    assert.equal(off.state(0), Circuit.closed);
  }
  const { configure, rates, count, state } = rig(named(['a'], ['a']));
  count(0, 0, 19);
  rates.look();
  configure(named(['a'], ['a'], ['a']));
  count(0, 0, 1);
  rates.look();
  assert.equal(state(0), Circuit.open);
});
