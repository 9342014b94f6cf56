import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counts } from '../../../src/main/counts.ts';
import { Deliver } from '../../../src/main/deliver.ts';
import { Requests } from '../../../src/main/requests.ts';
import { Sessions } from '../../../src/main/session.ts';
import type { RecordHeader } from '../../../src/memory/contract.ts';
import { allocateCounters, openCounters } from '../../../src/memory/counters.ts';
import { Flag, Kind } from '../../../src/memory/layout.ts';
import { allocateLedger, openLedger } from '../../../src/memory/ledger.ts';
import { allocateRing, ringConsumer, ringProducer } from '../../../src/memory/ring.ts';
import { allocateSessionCells, openSessionCells } from '../../../src/memory/session-cells.ts';
import { allocateSlab, openSlab } from '../../../src/memory/slab.ts';
import { dimensionsOf, schedule } from '../../../src/observe/metrics.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import { decodeEpitaph, encodeEpitaph } from '../../../src/threads/epitaph-record.ts';
import { FakeConnection } from '../../support/fake-connection.ts';

const CREDIT = 1_000;

/** main's half over real shared memory, with a worker played by the test. */
function setUp() {
  const cells = openSessionCells(allocateSessionCells(8));
  const slab = openSlab(allocateSlab(1 << 20));
  const ledger = openLedger(allocateLedger(), 1 << 30);
  const sessions = new Sessions(cells, CREDIT, 1);
  const requests = new Requests(ledger, 1 << 20);
  const series = schedule(dimensionsOf(resolveOptions({}).options));
  const block = openCounters(allocateCounters(1, series.size), 0, series.size);
  const counts = new Counts(block, series);
  const credited: number[] = [];
  const closed: string[] = [];
  const deliver = new Deliver(sessions, requests, slab, counts, {
    credited: (session) => void credited.push(session.slot),
    close: (session, code, reason) => {
      closed.push(`${code} ${reason}`);
      session.connection.close(code, reason);
    },
    over: (session) => session.connection.close(1000, ''),
  });
  const shared = allocateRing(1 << 16);
  const down = ringProducer(shared, { ring() {} });
  const ring = ringConsumer(shared);
  const join = () => {
    const connection = new FakeConnection();
    const admission = { dialect: 'responses', principal: 'p', address: 'a' } as const;
    return { connection, session: sessions.add(connection, admission, 0) };
  };
  const write = (fields: Partial<RecordHeader>, content: string | Uint8Array) => {
    const header: RecordHeader = {
      length: 0,
      kind: Kind.frame,
      flags: 0,
      slot: 0,
      generation: 1,
      stream: 0,
      sequence: 0,
      aux0: 0,
      aux1: 0,
      ...fields,
    };
    const bytes = Buffer.from(content);
    if (header.kind === Kind.frame) cells.spend(header.slot, bytes.byteLength);
    assert.ok(down.write({ ...header, length: bytes.byteLength }, bytes), 'the ring has space');
  };
  const batch = () => deliver.batch(ring, 100);
  const get = (name: Parameters<typeof series.index>[0]) => block.get(series.index(name));
  return {
    cells,
    slab,
    ledger,
    sessions,
    requests,
    deliver,
    down,
    credited,
    closed,
    join,
    write,
    batch,
    get,
  };
}

test('frames of a batch leave in order, in one cork per session', () => {
  const { join, write, batch, get } = setUp();
  const a = join();
  const b = join();
  for (const n of [0, 1, 2]) {
    write({ slot: 0, sequence: n }, `a${n}`);
    write({ slot: 1, sequence: n, flags: Flag.binary }, `b${n}`);
  }
  assert.equal(batch(), 6);
  assert.deepEqual(
    a.connection.sent.map((each) => each.text),
    ['a0', 'a1', 'a2'],
  );
  assert.deepEqual(
    b.connection.sent.map(({ text, binary }) => ({ text, binary })),
    [
      { text: 'b0', binary: true },
      { text: 'b1', binary: true },
      { text: 'b2', binary: true },
    ],
  );
  assert.equal(a.connection.writes + b.connection.writes, 2);
  assert.equal(get('websocket_messages_sent_total'), 6);
  assert.equal(batch(), 0);
});

test('a single frame needs no cork', () => {
  const { join, write, batch } = setUp();
  const { connection } = join();
  write({}, 'one');
  batch();
  assert.equal(connection.writes, 1);
  assert.equal(connection.sent[0].text, 'one');
});

test('frames for a session that has left are counted as taken and go nowhere', () => {
  const { sessions, join, write, batch, cells, credited } = setUp();
  const gone = join();
  sessions.remove(gone.session);
  const next = join();
  assert.equal(next.session.slot, gone.session.slot);
  assert.notEqual(next.session.generation, gone.session.generation);
  write({ generation: gone.session.generation }, 'x'.repeat(CREDIT));
  assert.equal(cells.await(0), false);
  batch();
  assert.deepEqual(next.connection.sent, []);
  // The new session's credit is not eaten by the old one's bytes once they were taken.
  assert.equal(cells.credit(0), CREDIT);
  assert.deepEqual(credited, [0], 'and a worker that waits for it is told');
});

test('the commit frame lets go of the request’s bytes, the terminal one of the request', () => {
  const { join, requests, ledger, write, batch } = setUp();
  const { session } = join();
  const request = requests.add(session, new Uint8Array(16), Buffer.from('hello'), false, 40, 0);
  assert.ok(request);
  assert.equal(ledger.held('retained') > 0, true);
  const stream = request.number;
  write({ stream, sequence: 0, flags: Flag.opener }, 'opener');
  batch();
  assert.equal(request.delivered, 1);
  assert.equal(request.committed, false);
  write({ stream, sequence: 1, flags: Flag.commit }, 'delta');
  batch();
  assert.equal(request.committed, true);
  assert.equal(request.bytes, undefined);
  assert.equal(requests.retainedBytes, 0);
  write({ stream, sequence: 2, flags: Flag.terminal }, 'end');
  batch();
  assert.equal(requests.count, 0);
  assert.equal(session.unsettled, 0);
  assert.equal(ledger.total(), 0);
});

test('a settled record ends a request without a frame', () => {
  const { join, requests, write, batch } = setUp();
  const { session, connection } = join();
  const request = requests.add(session, new Uint8Array(16), Buffer.from('x'), false, 0, 0);
  write({ kind: Kind.settled, stream: request?.number ?? 0 }, '');
  batch();
  assert.equal(requests.count, 0);
  assert.deepEqual(connection.sent, []);
});

test('an epitaph is kept, not sent', () => {
  const { join, requests, write, batch } = setUp();
  const { session, connection } = join();
  const request = requests.add(session, new Uint8Array(16), Buffer.from('x'), false, 0, 0);
  const payload = encodeEpitaph({
    bytes: Buffer.from('abcdef'),
    at: 3,
    unopened: Buffer.from('x'),
  });
  write({ kind: Kind.epitaph, stream: request?.number ?? 0 }, payload);
  batch();
  assert.deepEqual(connection.sent, []);
  assert.equal(Buffer.from(request?.epitaph?.bytes ?? []).toString(), 'abcdef');
  assert.equal(Buffer.from(request?.epitaph?.unopened ?? []).toString(), 'x');
  assert.equal(request?.epitaph?.at, 3);
});

test('an epitaph too large for the ring comes through the slab, whose blocks are given back', () => {
  const { join, requests, write, batch, slab } = setUp();
  const { session, connection } = join();
  const request = requests.add(session, new Uint8Array(16), Buffer.from('x'), false, 0, 0);
  const said = encodeEpitaph({ bytes: Buffer.alloc(50_000, 'e'), at: 7 });
  const ticket = slab.claim(said.byteLength, 77);
  assert.ok(ticket);
  slab.view(ticket).set(said);
  const payload = Buffer.alloc(8);
  payload.writeUInt32LE(ticket.block, 0);
  payload.writeUInt32LE(ticket.length, 4);
  write(
    { kind: Kind.epitaph, stream: request?.number ?? 0, flags: Flag.ticket, aux0: said.byteLength },
    payload,
  );
  batch();
  assert.equal(slab.taken(), 0);
  assert.deepEqual(connection.sent, []);
  assert.deepEqual(request?.epitaph, decodeEpitaph(said));
});

test('a close record closes after the frames before it', () => {
  const { join, write, batch, closed } = setUp();
  const { connection } = join();
  write({}, 'last words');
  write({ kind: Kind.close, aux0: 1003 }, 'text only');
  batch();
  assert.equal(connection.sent[0].text, 'last words');
  assert.deepEqual(closed, ['1003 text only']);
});

test('a slow reader gets no credit, and a worker that waits is told when it reads again', () => {
  const { join, write, batch, cells, sessions, credited } = setUp();
  const { session, connection } = join();
  connection.full = true;
  write({}, 'x'.repeat(CREDIT));
  batch();
  assert.equal(cells.credit(0), 0);
  assert.equal(cells.await(0), false);
  assert.deepEqual(credited, []);
  assert.ok(session.fullSinceMs > 0);
  connection.empty();
  assert.equal(sessions.grant(session), true, 'the waiting worker is due a credit record');
  assert.equal(cells.credit(0), CREDIT);
});

test('a slow reader is noticed also when its frames left in one cork', () => {
  const { join, write, batch, cells, sessions } = setUp();
  const { session, connection } = join();
  connection.full = true;
  write({}, 'x'.repeat(CREDIT / 2));
  write({ sequence: 1 }, 'x'.repeat(CREDIT / 2));
  batch();
  assert.equal(connection.writes, 1);
  assert.equal(cells.credit(0), 0);
  assert.ok(session.fullSinceMs > 0, 'without it nobody would grant credit when the socket drains');
  connection.empty();
  sessions.grant(session);
  assert.equal(cells.credit(0), CREDIT);
});

test('a reader that keeps up is credited again before it runs dry', () => {
  const { join, write, batch, cells } = setUp();
  join();
  for (let n = 0; n < 100; n++) {
    write({}, 'x'.repeat(100));
    batch();
    assert.ok(cells.credit(0) >= CREDIT / 2, `credit after ${n} frames: ${cells.credit(0)}`);
  }
});

test('a frame with a ticket is sent from the slab, whose blocks are given back', () => {
  const { join, write, batch, slab } = setUp();
  const { connection } = join();
  const text = 'large '.repeat(30_000);
  const ticket = slab.claim(text.length, 77);
  assert.ok(ticket);
  slab.view(ticket).set(Buffer.from(text));
  const payload = Buffer.alloc(8);
  payload.writeUInt32LE(ticket.block, 0);
  payload.writeUInt32LE(ticket.length, 4);
  write({ flags: Flag.ticket, aux0: text.length }, payload);
  batch();
  assert.equal(connection.sent[0].text, text);
  assert.equal(slab.taken(), 0);
});

test('more records than one batch holds come out in the next ones', () => {
  const { join, write, batch } = setUp();
  const { connection } = join();
  for (let n = 0; n < 700; n++) write({ sequence: n }, String(n));
  let records = 0;
  for (let n = batch(); n > 0; n = batch()) records += n;
  assert.equal(records, 700);
  assert.deepEqual(
    connection.sent.map((each) => Number(each.text)),
    Array.from({ length: 700 }, (_, n) => n),
  );
});
