import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RecordHeader, RingProducer, SessionCells } from '../../../src/memory/contract.ts';
import { Kind } from '../../../src/memory/layout.ts';
import { allocateLedger, openLedger } from '../../../src/memory/ledger.ts';
import { allocateSlab, openSlab } from '../../../src/memory/slab.ts';
import type { Packed, Packer } from '../../../src/worker/compress.ts';
import { Outbox } from '../../../src/worker/outbox.ts';
import { Tap } from '../../../src/worker/tap.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';

/** An outbox whose ring takes everything and whose cells say what a test wants. */
function rig() {
  const world = new SimulatedWorld();
  const cells = { credit: 0, comesWhileAsked: false, awaited: 0, spent: 0, held: true };
  const records: { kind: number; text: string }[] = [];
  const place = { full: false };
  const sessions = {
    holds: () => cells.held,
    credit: () => cells.credit,
    spend: (_slot: number, bytes: number) => {
      cells.credit -= bytes;
      cells.spent += bytes;
    },
    await: () => {
      cells.awaited += 1;
      if (cells.comesWhileAsked) cells.credit = 1000;
      return cells.credit > 0;
    },
  };
  const ring = {
    payloadBytesMax: 4096,
    write: (header: RecordHeader, payload: Uint8Array) => {
      if (place.full) return false;
      records.push({ kind: header.kind, text: Buffer.from(payload).toString() });
      return true;
    },
    flush: () => {},
  };
  const outbox = new Outbox({
    ring: ring as unknown as RingProducer,
    slab: openSlab(allocateSlab(2 ** 20)),
    sessions: sessions as unknown as SessionCells,
    ledger: openLedger(allocateLedger(), 2 ** 20),
    ticker: world.ticker,
    slabOwner: 1,
    retired: () => false,
    onFull: () => {},
  });
  const tap = (stream: number, packer?: Packer) =>
    new Tap(outbox, { slot: 1, generation: 1, stream }, 0, packer);
  const say = (to: Tap, text: string, at = 0) => to.frame(Buffer.from(text), text.length, 0, at);
  return { world, cells, place, records, outbox, tap, say };
}

/** Compresses texts in capitals: long ones when it is told to. */
function packer() {
  const waiting: (() => void)[] = [];
  const made = (text: string): Packed => Buffer.from(`<${text}>`);
  const it: Packer = {
    pack(frame) {
      const text = Buffer.from(frame).toString();
      if (text.startsWith('plain')) return undefined;
      if (!text.startsWith('large')) return made(text);
      return new Promise((resolve) => waiting.push(() => resolve(made(text))));
    },
  };
  return { it, waiting };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('frames that are compressed', () => {
  test('leave in their order, behind those that another thread is at, over all answers of a session', async () => {
    const r = rig();
    r.cells.credit = 1_000;
    const { it, waiting } = packer();
    const first = r.tap(1, it);
    const second = r.tap(2, it);
    r.say(first, 'small', 0);
    r.say(first, 'large 1', 1);
    r.say(first, 'plain', 2);
    r.say(first, 'large 2', 3);
    // The next answer of the same lane must not overtake the end of the one before it.
    r.say(second, 'later', 0);
    const texts = () => r.records.map(({ text }) => text);
    assert.deepEqual(texts(), ['<small>']);
    assert.equal(first.clear(), false);
    waiting[1]();
    await turn();
    assert.deepEqual(texts(), ['<small>']);
    // Credit does not let anybody pass.
    r.outbox.credited(1);
    assert.deepEqual(texts(), ['<small>']);
    waiting[0]();
    await turn();
    assert.deepEqual(texts(), ['<small>', '<large 1>', 'plain', '<large 2>', '<later>']);
    assert.equal(r.outbox.waiting, 0);
    assert.equal(r.outbox.ledger.held('outbox'), 0);
  });

  test('without credit a compressed frame waits as any other', async () => {
    const r = rig();
    const { it, waiting } = packer();
    const tap = r.tap(1, it);
    r.say(tap, 'large', 0);
    waiting[0]();
    await turn();
    assert.equal(r.records.length, 0);
    r.cells.credit = 1;
    r.outbox.credited(1);
    assert.deepEqual(
      r.records.map(({ text }) => text),
      ['<large>'],
    );
    assert.equal(r.cells.spent, 7, 'what is sent costs, not what it was');
  });

  test('an answer that nobody reads any more lets those behind it go', async () => {
    const r = rig();
    r.cells.credit = 1_000;
    const { it, waiting } = packer();
    const left = r.tap(1, it);
    r.say(left, 'large', 0);
    const other = r.tap(2, it);
    r.say(other, 'other', 0);
    left.discard();
    waiting[0]();
    await turn();
    assert.deepEqual(
      r.records.map(({ text }) => text),
      ['<other>'],
    );
    assert.equal(r.outbox.ledger.held('outbox'), 0);
  });
});

describe('the outbox', () => {
  test('one frame may go while there is credit, however large; the next one waits', () => {
    const r = rig();
    r.cells.credit = 1;
    const tap = r.tap(1);
    r.say(tap, 'a long frame');
    r.say(tap, 'next', 1);
    assert.deepEqual(
      r.records.map(({ text }) => text),
      ['a long frame'],
    );
    assert.equal(r.cells.spent, 12);
    r.cells.credit = 1;
    r.outbox.credited(1);
    assert.deepEqual(
      r.records.map(({ text }) => text),
      ['a long frame', 'next'],
    );
    assert.equal(r.outbox.waiting, 0);
  });

  test('what is no frame needs no credit, but keeps its place behind frames that wait', () => {
    const r = rig();
    const quick = r.tap(1);
    quick.settle();
    const slow = r.tap(2);
    r.say(slow, 'frame');
    slow.epitaph({ bytes: Buffer.from('epitaph'), at: -1 });
    assert.deepEqual(
      r.records.map(({ kind }) => kind),
      [Kind.settled],
    );
    r.cells.credit = 100;
    r.outbox.credited(1);
    assert.deepEqual(
      r.records.map(({ kind }) => kind),
      [Kind.settled, Kind.frame, Kind.epitaph],
    );
  });

  test('credit that comes while a tap asks is used at once', () => {
    const r = rig();
    r.cells.comesWhileAsked = true;
    r.say(r.tap(1), 'first');
    assert.equal(r.records.length, 1);
    assert.equal(r.outbox.waiting, 0);
  });

  test('behind a frame that waits for credit no frame of its session is written before it', () => {
    const r = rig();
    r.say(r.tap(1), 'first');
    // It has come, and the worker has not heard of it yet.
    r.cells.credit = 100;
    const second = r.tap(2);
    r.say(second, 'second');
    assert.equal(second.clear(), false);
    assert.equal(r.records.length, 0);
    r.outbox.credited(1);
    assert.deepEqual(
      r.records.map(({ text }) => text),
      ['first', 'second'],
    );
    assert.equal(r.outbox.waiting, 0);
  });

  test('behind a frame that waits for space no frame of its session is written before it', () => {
    const r = rig();
    r.cells.credit = 100;
    r.place.full = true;
    r.say(r.tap(1), 'first');
    // There is space again, and nobody has said so yet.
    r.place.full = false;
    r.say(r.tap(2), 'second');
    r.say(new Tap(r.outbox, { slot: 2, generation: 1, stream: 3 }, 0), 'of another session');
    assert.deepEqual(
      r.records.map(({ text }) => text),
      ['of another session'],
    );
    r.outbox.spaced();
    assert.deepEqual(
      r.records.map(({ text }) => text),
      ['of another session', 'first', 'second'],
    );
    assert.equal(r.outbox.waiting, 0);
  });

  test('a session that lost its slot gets nothing, and what waited for it is given back', () => {
    const r = rig();
    const tap = r.tap(1);
    r.say(tap, 'waits');
    assert.equal(r.outbox.ledger.held('outbox'), 5);
    r.cells.held = false;
    r.cells.credit = 100;
    r.outbox.credited(1);
    assert.deepEqual(
      [r.records.length, r.outbox.waiting, r.outbox.ledger.held('outbox')],
      [0, 0, 0],
    );
    assert.equal(tap.clear(), true, 'its stream is not held up any more');
  });

  test('a session that left: all its taps are given back, those of its slot’s next one are not', () => {
    const r = rig();
    const old = [r.tap(1), r.tap(2)];
    for (const tap of old) r.say(tap, 'waits');
    const heir = new Tap(r.outbox, { slot: 1, generation: 2, stream: 3 }, 0);
    r.say(heir, 'stays');
    r.outbox.drop(1, 1);
    assert.deepEqual([r.outbox.waiting, r.outbox.ledger.held('outbox')], [1, 5]);
    r.cells.credit = 100;
    r.outbox.credited(1);
    assert.deepEqual(
      r.records.map(({ text }) => text),
      ['stays'],
    );
  });

  test('after a terminal frame nothing of the message goes out any more', () => {
    const r = rig();
    r.cells.credit = 1000;
    const tap = r.tap(1);
    tap.last(Buffer.from('end'));
    r.say(tap, 'more', 1);
    tap.last(Buffer.from('another end'));
    assert.deepEqual(
      r.records.map(({ text }) => text),
      ['end'],
    );
  });

  test('a close reason is cut to 123 bytes between code points', () => {
    const r = rig();
    r.tap(0).close(1013, 'ü'.repeat(100));
    assert.equal(r.records[0].text, 'ü'.repeat(61));
  });
});
