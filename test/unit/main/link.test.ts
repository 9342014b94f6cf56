import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Link } from '../../../src/main/link.ts';
import { Requests } from '../../../src/main/requests.ts';
import { Session } from '../../../src/main/session.ts';
import { Flag, Kind } from '../../../src/memory/layout.ts';
import { allocateLedger, openLedger } from '../../../src/memory/ledger.ts';
import { allocateRing, ringConsumer, ringProducer } from '../../../src/memory/ring.ts';
import { allocateSlab, openSlab } from '../../../src/memory/slab.ts';
import { MESSAGE_PROLOGUE_BYTES } from '../../../src/threads/messages.ts';
import { slabOwner, WORKER_ROW } from '../../../src/threads/roster.ts';
import type { Incarnation } from '../../../src/threads/worker-pool.ts';
import { FakeConnection } from '../../support/fake-connection.ts';

const RING_BYTES = 4096;

function setUp() {
  const slab = openSlab(allocateSlab(1 << 20));
  const requests = new Requests(openLedger(allocateLedger(), 1 << 30), 1 << 24);
  let full = 0;
  const link = new Link(0, slab, () => void full++);
  let generation = 0;
  const attach = () => {
    const shared = allocateRing(RING_BYTES);
    generation++;
    link.attach({
      worker: 0,
      generation,
      up: ringProducer(shared, { ring() {} }),
    } as unknown as Incarnation);
    return ringConsumer(shared);
  };
  const session = (slot = 0) => {
    const admission = { dialect: 'responses', principal: 'p', address: 'a' } as const;
    return new Session(slot, 1, new FakeConnection(), admission, 0, 0);
  };
  const ask = (of: Session, text: string) => {
    const request = requests.add(of, new Uint8Array(16).fill(7), Buffer.from(text), false, 0, 99);
    assert.ok(request);
    request.owner = 2;
    request.ownerGeneration = 1;
    request.tag = 0xdeadbeef;
    return request;
  };
  /** What the worker reads: kind, stream, and the text behind the prologue. */
  const read = (ring: ReturnType<typeof ringConsumer>) => {
    const records: { kind: number; stream: number; skip: number; text: string }[] = [];
    ring.drain(100, (header, payload) => {
      let bytes = payload.slice();
      if (header.flags & Flag.ticket) {
        const view = Buffer.from(bytes);
        const ticket = { block: view.readUInt32LE(0), length: view.readUInt32LE(4) };
        assert.equal(ticket.length, header.aux0);
        bytes = slab.view(ticket).slice();
        slab.free(ticket);
      }
      const message = header.kind === Kind.message;
      records.push({
        kind: header.kind,
        stream: header.stream,
        skip: message ? Buffer.from(bytes).readUInt32LE(28) : 0,
        text: Buffer.from(bytes.subarray(message ? MESSAGE_PROLOGUE_BYTES : 0)).toString(),
      });
    });
    return records;
  };
  return { slab, requests, link, attach, session, ask, read, full: () => full };
}

test('a worker hears of a session once, before its first message', () => {
  const { link, attach, session, ask, read } = setUp();
  const ring = attach();
  const one = session();
  link.request(ask(one, 'first'));
  link.request(ask(one, 'second'));
  const records = read(ring);
  assert.deepEqual(
    records.map((each) => each.kind),
    [Kind.sessionOpen, Kind.message, Kind.message],
  );
  assert.deepEqual(JSON.parse(records[0].text), one.admission);
  assert.deepEqual(
    records.slice(1).map((each) => each.text),
    ['first', 'second'],
  );
});

test('the next incarnation is told again, and told what was delivered', () => {
  const { link, attach, session, ask, read } = setUp();
  attach();
  const one = session();
  const request = ask(one, 'again');
  link.request(request);
  link.detach();
  request.delivered = 5;
  const ring = attach();
  link.request(request);
  const records = read(ring);
  assert.deepEqual(
    records.map((each) => [each.kind, each.skip, each.text]),
    [
      [Kind.sessionOpen, 0, JSON.stringify(one.admission)],
      [Kind.message, 5, 'again'],
    ],
  );
});

test('a message larger than a quarter of the ring goes through the slab, in order', () => {
  const { link, attach, session, ask, read, slab } = setUp();
  const ring = attach();
  const one = session();
  const edge = RING_BYTES / 4 - MESSAGE_PROLOGUE_BYTES;
  const texts = ['a'.repeat(edge), 'b'.repeat(edge + 1), 'c', 'd'.repeat(300_000)];
  for (const text of texts) link.request(ask(one, text));
  assert.ok(slab.taken() > 0);
  const records = read(ring).filter((each) => each.kind === Kind.message);
  assert.deepEqual(
    records.map((each) => each.text),
    texts,
  );
  assert.equal(slab.taken(), 0);
});

test('what does not fit waits and follows in order; control words never overtake', () => {
  const { link, attach, session, ask, read, full } = setUp();
  const ring = attach();
  const one = session();
  const texts = Array.from({ length: 20 }, (_, n) => `${n} `.repeat(100));
  for (const text of texts) link.request(ask(one, text));
  link.control(Kind.sessionClose, one);
  assert.equal(full(), 1, 'counted once, when it began');
  const records: { kind: number; text: string }[] = [];
  for (let round = 0; round < 20; round++) {
    records.push(...read(ring));
    link.resume();
  }
  const kinds = records.map((each) => each.kind);
  assert.deepEqual(kinds, [Kind.sessionOpen, ...texts.map(() => Kind.message), Kind.sessionClose]);
  assert.deepEqual(
    records.slice(1, -1).map((each) => each.text),
    texts,
  );
});

test('a slab without space makes a message wait, not vanish', () => {
  const { link, attach, session, ask, read, slab } = setUp();
  const ring = attach();
  const hog = slab.claim(slab.bytes - 70_000, 1);
  assert.ok(hog);
  link.request(ask(session(), 'z'.repeat(200_000)));
  assert.deepEqual(
    read(ring).map((each) => each.kind),
    [Kind.sessionOpen],
  );
  slab.free(hog);
  link.resume();
  assert.equal(read(ring)[0].text.length, 200_000);
});

test('slab space of a message that a worker never read is swept in that worker’s name', () => {
  const { link, attach, session, ask, slab } = setUp();
  attach();
  link.request(ask(session(), 'q'.repeat(100_000)));
  assert.ok(slab.taken() > 0);
  slab.sweep(slabOwner(WORKER_ROW, 1));
  assert.equal(slab.taken(), 0);
});

test('a session that left while its message waited is not introduced by it', () => {
  const { link, attach, session, ask, read } = setUp();
  const ring = attach();
  const one = session();
  const two = session(1);
  for (let n = 0; n < 20; n++) link.request(ask(one, 'x'.repeat(400)));
  const late = ask(two, 'late');
  link.request(late);
  two.open = false;
  const texts: string[] = [];
  for (let round = 0; round < 20; round++) {
    texts.push(...read(ring).map((each) => each.text));
    link.resume();
  }
  assert.equal(texts.includes('late'), false);
});

test('without a worker nothing is written; the request stays with main', () => {
  const { link, requests, session, ask } = setUp();
  link.request(ask(session(), 'kept'));
  assert.equal(requests.count, 1);
  assert.equal(requests.ofWorker(0)[0].bytes?.length, 4);
});

test('what is retained is a copy, also of a Buffer', () => {
  const { requests, session } = setUp();
  const bytes = Buffer.from('mine');
  const request = requests.add(session(), new Uint8Array(16), bytes, false, 0, 0);
  bytes.fill(0);
  assert.equal(Buffer.from(request?.bytes ?? []).toString(), 'mine');
});

test('retained bytes are bounded: at the bound yes, one more no, and all are given back', () => {
  const ledger = openLedger(allocateLedger(), 1 << 30);
  const requests = new Requests(ledger, 100);
  const { session } = setUp();
  const one = session();
  const nonce = new Uint8Array(16);
  assert.ok(requests.add(one, nonce, new Uint8Array(60), false, 0, 0));
  assert.ok(requests.add(one, nonce, new Uint8Array(40), false, 0, 0));
  assert.equal(requests.add(one, nonce, new Uint8Array(1), false, 0, 0), undefined);
  requests.settleAll(one);
  assert.deepEqual([requests.count, requests.retainedBytes, ledger.total()], [0, 0, 0]);
  assert.equal(one.unsettled, 0);
});
