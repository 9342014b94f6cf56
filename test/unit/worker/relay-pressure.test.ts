/** A client that does not read: its stream waits, undecoded and bounded; nobody else does; nothing is lost. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Flag } from '../../../src/memory/layout.ts';
import type { FakeExchange } from '../../support/fake-transport.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

const upstreams = [{ name: 'one', url: 'http://one.test/v1' }];
const CREDIT = 16 * 1024;
const small = { upstreams, session: { creditBytes: CREDIT } };

/** Says words until the socket is paused; returns what was said. */
async function fill(r: Rig, exchange: FakeExchange, from = 0): Promise<string[]> {
  const words: string[] = [];
  while (!exchange.paused) {
    words.push(`word ${from + words.length}. `);
    exchange.say(words.at(-1) ?? '');
    await r.settle();
    assert.ok(words.length < 1000, 'it is never paused');
  }
  return words;
}

/** A turn whose client has stopped to read and whose credit is used up. */
async function stuck(options: object = small) {
  const r = rig({ options });
  r.open(1);
  const turn = r.ask(1);
  await r.settle();
  const { last } = r.transport;
  last.sent().head();
  r.granting = false;
  const words = await fill(r, last);
  return { r, turn, last, words };
}

describe('a client that does not read', () => {
  test('pauses its own upstream when the credit is used up, and nothing more is sent', async () => {
    const { r, turn, last } = await stuck();
    const ungranted = r.of(turn).filter(({ flags }) => (flags & Flag.opener) === 0);
    const bytes = ungranted.reduce((sum, { text }) => sum + text.length, 0);
    assert.ok(bytes >= CREDIT && bytes <= CREDIT + 1024, `${bytes} bytes`);
    assert.equal(last.pauses, 1);
    assert.equal(r.count('millrace_backpressure_total'), 1);
    const before = r.frames.length;
    await r.pass(1000);
    assert.equal(r.frames.length, before);
  });

  test('bytes that were read already wait undecoded, and go out whole and in order when it reads on', async () => {
    const { r, turn, last, words } = await stuck();
    // Already on its way when the pause came: one read.
    const late = Array.from({ length: 30 }, (_, n) => `late ${n}. `);
    last.paused = false;
    last.say(...late);
    last.paused = true;
    await r.settle();
    assert.ok(r.parts.ledger.held('outbox') > 0);
    assert.equal(r.text(turn), words.join(''));
    last.say('after. ').stop().done().end();
    r.granting = true;
    r.grant(1);
    await r.settle();
    assert.equal(r.text(turn), [...words, ...late, 'after. '].join(''));
    assert.equal(r.end(turn).type, 'response.completed');
    r.assertIdle();
  });

  test('credit in small steps: every step moves it, nothing is lost or doubled', async () => {
    const { r, turn, last, words } = await stuck();
    const more = Array.from({ length: 300 }, (_, n) => `more ${n}. `);
    for (const word of more) last.say(word);
    last.stop().done().end();
    for (let n = 0; n < 400 && !r.hasEnd(turn); n += 1) {
      // main could give back only a little: the socket still holds most of the credit.
      r.grant(1, CREDIT - 300);
      await r.settle();
    }
    assert.equal(r.text(turn), [...words, ...more].join(''));
    assert.equal(r.end(turn).type, 'response.completed');
    r.assertIdle();
  });

  test('its clocks stand still: neither gap nor deadline count while it waits', async () => {
    const { r, turn, last, words } = await stuck({ ...small, stream: { gapTimeoutMs: 1000 } });
    await r.pass(60_000);
    assert.equal(r.hasEnd(turn), false);
    r.granting = true;
    r.grant(1);
    await r.settle();
    await r.pass(900);
    assert.equal(r.hasEnd(turn), false);
    last.say('x');
    await r.settle();
    assert.equal(r.text(turn), `${words.join('')}x`);
    await r.pass(1010);
    assert.equal(r.end(turn).code, 'upstream_gap_timeout');
    r.assertIdle();
  });

  test('nor do the clocks before the first delta', async () => {
    const stream = { firstDeltaTimeoutMs: 1000, deadlineMs: 2000 };
    const r = rig({ options: { ...small, stream } });
    r.open(1);
    r.granting = false;
    // Another lane uses the credit up.
    r.ask(1, { stream_id: 'greedy' });
    await r.settle();
    await fill(r, r.transport.last.sent().head());
    const turn = r.ask(1, { stream_id: 'poor' });
    await r.settle();
    const { last } = r.transport;
    last.sent().head().bytes(': hello\n\n');
    await r.pass(30_000);
    assert.equal(r.hasEnd(turn), false);
    assert.deepEqual(r.of(turn), []);
    r.granting = true;
    r.grant(1);
    await r.settle();
    await r.pass(500);
    last.say('x').stop().done().end();
    await r.settle();
    assert.equal(r.text(turn), 'x');
    assert.equal(r.end(turn).type, 'response.completed');
  });

  test('an attempt that fails while it waits hands the deadline on, moved by the time it stood still', async () => {
    const both = ['one', 'two'].map((name) => ({ name, url: `http://${name}.test` }));
    const r = rig({ options: { ...small, upstreams: both, stream: { deadlineMs: 2000 } } });
    r.open(1);
    r.granting = false;
    r.ask(1, { stream_id: 'greedy' });
    await r.settle();
    const greedy = r.transport.last;
    await fill(r, greedy.sent().head());
    const turn = r.ask(1, { stream_id: 'poor' });
    await r.settle();
    r.transport.last.sent().head().bytes(': hello\n\n');
    r.transport.last.fail();
    await r.pass(10_000);
    r.granting = true;
    r.grant(1);
    await r.settle();
    assert.equal(r.transport.exchanges.length, 3, 'the other upstream is asked');
    await r.pass(1900);
    assert.equal(r.hasEnd(turn), false);
    await r.pass(200);
    assert.equal(r.end(turn).code, 'deadline');
  });

  test('a reset while it waits: what was read is delivered first, then the failure', async () => {
    const { r, turn, last, words } = await stuck();
    last.paused = false;
    last.say('read. ');
    last.paused = true;
    last.fail();
    await r.settle();
    assert.equal(r.hasEnd(turn), false);
    r.granting = true;
    r.grant(1);
    await r.settle();
    assert.equal(r.text(turn), [...words, 'read. '].join(''));
    assert.deepEqual(r.end(turn), { type: 'response.failed', code: 'upstream_reset' });
    r.assertIdle();
  });

  test('a cancel while it waits closes the socket now; the end goes out when there is credit', async () => {
    const { r, turn, last } = await stuck();
    last.paused = false;
    last.say('never decoded');
    last.paused = true;
    const behind = r.ask(1);
    r.send(1, { type: 'response.cancel', response_id: firstId(r, turn) });
    await r.settle();
    assert.equal(last.cancelled, true);
    assert.equal(r.hasEnd(turn), false);
    assert.equal(r.transport.exchanges.length, 1, 'the lane is free only when its end is out');
    r.granting = true;
    r.grant(1);
    await r.settle();
    assert.equal(r.end(turn).type, 'response.incomplete');
    assert.equal(r.transport.exchanges.length, 2);
    r.transport.last.answer('next');
    await r.settle();
    assert.equal(r.end(behind).type, 'response.completed');
    const order = r.frames.filter(({ flags }) => flags & Flag.terminal).map(({ stream }) => stream);
    assert.deepEqual(order, [turn, behind]);
    r.assertIdle();
  });

  test('a session that leaves gives everything back', async () => {
    const { r, last } = await stuck();
    last.paused = false;
    last.say('never decoded');
    last.paused = true;
    r.leave(1);
    await r.settle();
    assert.equal(last.cancelled, true);
    r.assertIdle();
  });

  test('holds nobody else back', async () => {
    const { r } = await stuck();
    r.open(2);
    r.granting = true;
    const other = r.ask(2);
    await r.settle();
    r.transport.last.answer(...Array.from({ length: 2000 }, (_, n) => `${n} `));
    await r.settle();
    assert.equal(r.end(other).type, 'response.completed');
  });

  test('who sends and never reads gets no more than queuedRequestsMax answers kept, then a close', async () => {
    const session = { creditBytes: CREDIT, queuedRequestsMax: 4 };
    const r = rig({ options: { upstreams, session } });
    r.open(1);
    r.granting = false;
    for (let n = 0; n < 300 && r.closes.length === 0; n += 1) {
      r.send(1, 'nonsense');
      await r.settle();
    }
    assert.equal(r.closes.length, 1);
    assert.equal(r.closes[0].code, 1013);
    assert.equal(r.relay.waiting, 4);
    r.leave(1);
    await r.settle();
    r.assertIdle();
  });

  test('bytes beyond memoryBytesMax are not kept: the stream fails', async () => {
    const { r, turn, last } = await stuck();
    const { ledger } = r.parts;
    assert.ok(ledger.take('retained', r.parts.options.memory.memoryBytesMax - ledger.total()));
    last.paused = false;
    last.say('too much');
    last.paused = true;
    r.granting = true;
    r.grant(1);
    await r.settle();
    assert.deepEqual(r.end(turn), { type: 'response.failed', code: 'server_is_overloaded' });
    assert.equal(last.cancelled, true);
  });
});

describe('a full ring', () => {
  test('holds all streams back until main reads; then all is delivered, in order', async () => {
    const ringBytes = 64 * 1024;
    const r = rig({
      options: { upstreams, memory: { ringBytes }, session: { creditBytes: 1 << 20 } },
    });
    for (const slot of [1, 2, 3]) r.open(slot);
    const turns = [1, 2, 3].map((slot) => r.ask(slot));
    await r.settle();
    r.reading = false;
    const words = Array.from({ length: 300 }, (_, n) => `${n} ${'.'.repeat(100)}`);
    for (const exchange of r.transport.exchanges) {
      exchange.sent().head();
      for (const word of words) exchange.say(word);
      exchange.stop().done().end();
    }
    await r.pass(100);
    assert.ok(r.count('millrace_ring_full_total') > 0);
    assert.ok(r.transport.exchanges.some(({ paused }) => paused));
    r.reading = true;
    await r.pass(200);
    for (const turn of turns) {
      assert.equal(r.text(turn), words.join(''));
      assert.equal(r.end(turn).type, 'response.completed');
    }
    r.assertIdle();
  });

  test('a full slab is waited for, although no bell tells of it', async () => {
    const options = {
      upstreams,
      memory: { ringBytes: 64 * 1024 },
      session: { creditBytes: 1 << 20 },
    };
    const r = rig({ options, slabBytes: 64 * 1024 });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    const taken = r.parts.slab.claim(1, 77);
    assert.ok(taken);
    const big = 'z'.repeat(30_000);
    r.transport.last.answer(big);
    await r.pass(100);
    assert.equal(r.hasEnd(turn), false);
    r.parts.slab.free(taken);
    // One block, several large frames: a beat for each.
    await r.pass(1000);
    assert.equal(r.text(turn), big);
    r.end(turn);
    r.assertIdle();
  });
});

function firstId(r: Rig, turn: number): string {
  const response = r.events(turn)[0]['response'] as { id: string };
  return response.id;
}
