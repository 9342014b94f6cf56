/** Goal: main refuses what needs no body to be refused. Method: the limits of the door with fake sessions, and time as numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccept } from '../../../src/main/accept.ts';
import type { RequestHead } from '../../../src/main/backend/backend.ts';
import { DoorLimits } from '../../../src/main/door-limits.ts';
import { Session } from '../../../src/main/session.ts';
import { allocateLimitTable, openLimitTable } from '../../../src/memory/limit-table.ts';
import { schema, type UserOptions } from '../../../src/options/schema.ts';
import { LIMIT_ROWS } from '../../../src/policy/limit/limit-plan.ts';
import { FakeConnection } from '../../support/fake-connection.ts';

const clock = { now: () => 0, wall: () => 0 };

function door(limits: NonNullable<UserOptions['limits']>, slots = 64) {
  const options = schema.parse({ limits });
  const told: string[] = [];
  const table = openLimitTable(allocateLimitTable(slots, LIMIT_ROWS, 7));
  const counts = {
    limit: (scope: string, verdict: string) => void told.push(`${scope} ${verdict}`),
  };
  return { options, told, table, limits: new DoorLimits(options, table, clock, counts) };
}

function session(slot: number, address: string, once = false): Session {
  const admission = { dialect: 'chat', principal: 'anonymous', address, once } as const;
  return new Session(slot, 1, new FakeConnection(), admission, 0, 0);
}

test('each session has its own limit, and whoever gets its slot later begins anew', () => {
  const { limits, told } = door({ perSession: { maxRequestsPerSecond: 1, maxBurst: 2 } });
  assert.ok(limits.isActive);
  const [a, b] = [session(0, '10.0.0.1'), session(1, '10.0.0.1')];
  assert.deepEqual([limits.message(a, 1_000), limits.message(a, 1_000)], [0, 0]);
  assert.equal(limits.message(a, 1_000), 1_000);
  assert.equal(limits.message(a, 1_500), 500);
  assert.equal(limits.message(b, 1_000), 0);
  limits.opened(0);
  assert.equal(limits.message(session(0, '10.0.0.2'), 1_500), 0);
  assert.deepEqual(told.slice(0, 4), [
    'session allowed',
    'session allowed',
    'session refused',
    'session refused',
  ]);
});

test('sessions of one address share a limit with its handshakes, an IPv6 host has its whole /64; one HTTP request counts once', () => {
  const { limits } = door({ perAddress: { maxRequestsPerSecond: 0.1, maxBurst: 3 } });
  assert.equal(limits.arrives('2001:db8::1', 0), 0);
  assert.equal(limits.message(session(0, '2001:db8::2'), 0), 0);
  assert.equal(limits.message(session(1, '2001:db8:0:0:ffff::3'), 0), 0);
  assert.equal(limits.arrives('2001:db8::4', 0), 10_000);
  assert.equal(limits.message(session(2, '2001:db8::5'), 0), 10_000);
  assert.equal(
    limits.message(session(3, '2001:db8::5', true), 0),
    0,
    'asked about when it arrived',
  );
  assert.equal(limits.arrives('2001:db8:0:1::1', 0), 0, 'another network');
});

test('without limits nothing is asked, and a change of them holds for sessions that are open', () => {
  const { limits, options, table } = door({});
  const one = session(0, '10.0.0.1');
  assert.equal(limits.isActive, false);
  const changed = (perAddress: object) =>
    schema.parse({ ...options, limits: { perAddress } as never });
  limits.reconfigure(changed({ maxRequestsPerSecond: 0.01, maxBurst: 1 }));
  assert.ok(limits.isActive);
  assert.deepEqual([limits.message(one, 0), limits.message(one, 0)], [0, 100_000]);
  limits.reconfigure(changed({ maxRequestsPerSecond: 0.02, maxBurst: 1 }));
  assert.deepEqual([limits.message(one, 0), limits.message(one, 0)], [0, 50_000]);
  limits.reconfigure(changed({ maxRequestsPerSecond: 0.01, maxBurst: 1 }));
  limits.reconfigure(changed({ maxRequestsPerSecond: 0.02, maxBurst: 1 }));
  assert.ok(limits.message(one, 0) <= 50_000);
  // What former rules have left is nobody's: it makes room.
  assert.equal(table.used() >= 1, true);
});

test('a shadow lets everything pass; a flood of addresses stays in its table', () => {
  const shadow = door({ perAddress: { maxRequestsPerSecond: 0.1, maxBurst: 1, shadow: true } });
  for (let n = 0; n < 5; n++) assert.equal(shadow.limits.arrives('10.0.0.1', 0), 0);
  assert.deepEqual(shadow.told.slice(0, 2), ['address allowed', 'address shadowed']);
  const flood = door({ perAddress: { maxRequestsPerSecond: 0.1, maxBurst: 1 } });
  let passed = 0;
  for (let n = 0; n < 10_000; n++)
    if (flood.limits.arrives(`10.0.${n >> 8}.${n & 255}`, 0) === 0) passed++;
  assert.equal(flood.table.used(), 64);
  assert.equal(passed, 65, 'those with a place, and one of the crowd');
});

test('a handshake over the limit is answered with 429 and when to come back, before its key is looked at', () => {
  const { limits, options } = door({ perAddress: { maxRequestsPerSecond: 0.5, maxBurst: 1 } });
  const accept = createAccept(options, {
    arrives: (address, nowMs) => limits.arrives(address, nowMs),
  });
  const head: RequestHead = {
    method: 'GET',
    path: '/chat',
    query: '',
    address: '10.0.0.1',
    hosts: 1,
    header: (name) => (name === 'host' ? '127.0.0.1:8080' : undefined),
  };
  const first = accept.decide(head, 0, 0);
  const second = accept.decide(head, 0, 0);
  assert.ok(!(first instanceof Promise) && !(second instanceof Promise));
  assert.equal(first.kind, 'session');
  assert.ok(second.kind === 'refuse');
  assert.equal(second.reply.status, 429);
  assert.equal(second.reply.headers['Retry-After'], '2');
});
