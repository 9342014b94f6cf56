/** One client bound to one back end that a test plays: order, failover before its first word, both back-pressures, clocks, reuse. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Kind, UpstreamWord } from '../../../../src/memory/layout.ts';
import type { UserOptions } from '../../../../src/options/schema.ts';
import { type Rig, rig } from '../../../support/relay-rig.ts';

const backEnds = (...more: object[]) =>
  ['one', 'two', 'three'].map((name, at) => ({
    name,
    provider: 'websocket',
    url: `ws://${name}.test/`,
    ...more[at],
  }));

async function proxied(options: UserOptions = {}, facts: object = {}): Promise<Rig> {
  const r = rig({ options: { upstreams: backEnds(), ...options } });
  r.open(1, 'proxy', facts);
  await r.settle();
  return r;
}

const texts = (r: Rig) => r.frames.map(({ text }) => text);
const sockets = (r: Rig) => r.parts.sockets;

/** What every test may check at its end. */
function assertLeft(r: Rig): void {
  r.assertIdle();
  assert.equal(sockets(r).sockets, 0, 'sockets of back ends');
  assert.equal(r.parts.ledger.held('replay'), 0, 'bytes kept for another back end');
}

describe('order', () => {
  test('what is said during the handshake waits for it, in order, and is settled when a socket has it', async () => {
    const r = await proxied();
    const numbers = ['a', 'b'].map((text) => r.send(1, text));
    await r.settle();
    assert.deepEqual([sockets(r).last.got, r.settled], [[], []]);
    sockets(r).last.open().say('hello').say('bytes', true);
    numbers.push(r.send(1, 'c'));
    await r.settle();
    assert.deepEqual(sockets(r).last.got, ['a', 'b', 'c']);
    assert.deepEqual(r.settled, numbers);
    assert.deepEqual(
      r.frames.map(({ text, flags, stream }) => [text, flags, stream]),
      [
        ['hello', 0, 0],
        ['bytes', 8, 0],
      ],
    );
    r.leave(1, 1000, 'bye');
    await r.settle();
    assert.deepEqual([sockets(r).last.ended, sockets(r).last.endReason], [1000, 'bye']);
    assert.deepEqual(r.outcomes(0), [1, 1, 0]);
    assertLeft(r);
  });

  test('a back end is told the client’s address, its own key, and only a subprotocol that the options name', async () => {
    const proxy = { protocols: ['known'] };
    const upstreams = backEnds({ apiKey: 'own-key' });
    const r = await proxied({ proxy, upstreams }, { address: '192.0.2.7', protocol: 'known' });
    assert.deepEqual(sockets(r).last.request.headers, {
      Authorization: 'Bearer own-key',
      'X-Forwarded-For': '192.0.2.7',
    });
    assert.equal(sockets(r).last.request.protocol, 'known');
    r.open(2, 'proxy', { protocol: 'openai-insecure-api-key.secret' });
    await r.settle();
    assert.equal(sockets(r).last.request.protocol, undefined);
  });

  test('LLM streams never go to a back end, nor clients of a back end to an LLM upstream', async () => {
    const llm = { name: 'llm', url: 'http://llm.test/v1' };
    const r = await proxied({ upstreams: [llm, ...backEnds()] });
    for (let slot = 2; slot < 6; slot++) {
      r.open(slot, 'proxy');
      r.open(slot + 5, 'responses');
      r.ask(slot + 5);
    }
    await r.settle();
    assert.ok(sockets(r).all.every(({ upstream }) => upstream !== 'llm'));
    assert.deepEqual(
      new Set(r.transport.exchanges.map(({ upstream }) => upstream)),
      new Set(['llm']),
    );
  });
});

describe('failover', () => {
  test('before its first word a lost back end is replaced, and the next one hears everything once', async () => {
    const r = await proxied();
    const first = r.send(1, 'a');
    await r.settle();
    sockets(r).last.refuse();
    await r.settle();
    sockets(r).last.open();
    const second = r.send(1, 'b');
    await r.settle();
    assert.deepEqual(sockets(r).last.got, ['a', 'b']);
    sockets(r).last.gone(1006);
    await r.settle();
    assert.equal(sockets(r).all.length, 3);
    sockets(r).last.open();
    r.send(1, 'c');
    await r.settle();
    assert.deepEqual(sockets(r).last.got, ['a', 'b', 'c']);
    assert.deepEqual(r.settled.slice(0, 2), [first, second]);
    assert.equal(r.settled.length, 3);
    assert.deepEqual(r.closes, []);
    assert.equal(r.count('millrace_failovers_total'), 2);
    r.leave(1);
    await r.settle();
    assertLeft(r);
  });

  test('after its first word nothing is replaced: one close, 1014', async () => {
    const r = await proxied();
    sockets(r).last.open().say('so far');
    sockets(r).last.gone(1006);
    await r.settle();
    assert.equal(sockets(r).all.length, 1);
    assert.deepEqual(texts(r), ['so far']);
    assert.deepEqual(r.closes, [{ slot: 1, code: 1014, reason: 'the back end was lost' }]);
    const late = r.send(1, 'late');
    await r.settle();
    assert.deepEqual(r.settled, [late]);
    assert.deepEqual(r.outcomes(0), [1, 0, 1]);
    r.leave(1, 1014);
    await r.settle();
    assertLeft(r);
  });

  test('more than can be kept is sent, but not sent twice', async () => {
    const r = await proxied({ proxy: { replayBytesMax: 1_000 } });
    sockets(r).last.open();
    r.send(1, 'x'.repeat(1_001));
    await r.settle();
    assert.equal(sockets(r).last.got.length, 1);
    sockets(r).last.gone(1006);
    await r.settle();
    assert.equal(sockets(r).all.length, 1);
    assert.equal(r.closes[0].code, 1014);
    assert.match(r.closes[0].reason, /more than 1000 bytes/);
    r.leave(1);
    await r.settle();
    assertLeft(r);
  });

  test('an orderly close is an answer, also before any word; 1013 sends the client on', async () => {
    const r = await proxied();
    sockets(r).last.open().gone(1013);
    await r.settle();
    sockets(r).last.open().gone(1000, 'nothing for you');
    await r.settle();
    assert.deepEqual(r.closes, [{ slot: 1, code: 1000, reason: 'nothing for you' }]);
  });

  test('when every back end has refused the session ends, once', async () => {
    const r = await proxied({ stream: { maxRetries: 2 } });
    for (let n = 0; n < 3; n++) {
      sockets(r).last.refuse();
      await r.pass(200);
    }
    assert.equal(sockets(r).all.length, 3);
    assert.deepEqual(
      r.closes.map(({ code }) => code),
      [1014],
    );
  });
});

describe('places', () => {
  const one = (more: object = {}) => ({
    upstreams: backEnds({ maxConnections: 1 }).slice(0, 1),
    ...more,
  });

  test('a session that finds no room waits in order, keeps what its client says, and goes when a place comes free', async () => {
    const r = await proxied(one());
    sockets(r).last.open().say('hello');
    for (const slot of [2, 3]) {
      r.open(slot, 'proxy');
      r.send(slot, `from ${slot}`);
    }
    await r.settle();
    assert.equal(sockets(r).all.length, 1);
    for (const [slot, next] of [
      [1, 2],
      [2, 3],
    ]) {
      r.leave(slot);
      await r.pass(20);
      assert.equal(sockets(r).all.length, next);
      sockets(r).last.open();
      await r.settle();
      assert.deepEqual(sockets(r).last.got, [`from ${next}`]);
    }
    r.leave(3);
    await r.settle();
    assert.deepEqual(r.closes, []);
    assertLeft(r);
  });

  test('it waits no longer than allowed, and not at all where nobody may: 1013; one that leaves waits no more', async () => {
    const r = await proxied(one({ pool: { waitTimeoutMs: 300 } }));
    r.open(2, 'proxy');
    r.open(3, 'proxy');
    await r.pass(200);
    r.leave(3);
    await r.pass(150);
    assert.deepEqual(
      r.closes.map(({ slot, code }) => [slot, code]),
      [[2, 1013]],
    );
    const none = await proxied(one({ pool: { waitTimeoutMs: 0 } }));
    none.open(2, 'proxy');
    await none.settle();
    assert.deepEqual(
      none.closes.map(({ slot, code }) => [slot, code]),
      [[2, 1013]],
    );
  });

  test('where every back end is drained nobody waits: 1013, no back end takes a connection now', async () => {
    const r = await proxied();
    for (const row of [0, 1, 2]) r.parts.table.set(row, UpstreamWord.drained, 1);
    r.open(2, 'proxy');
    await r.settle();
    assert.deepEqual(r.closes, [
      { slot: 2, code: 1013, reason: 'no back end takes a connection now' },
    ]);
    assert.equal(sockets(r).all.length, 1);
  });
});

describe('bounds', () => {
  test('a client without credit pauses its back end, and credit resumes it', async () => {
    const r = await proxied({ session: { creditBytes: 16 * 1024 } });
    const { last } = sockets(r);
    r.granting = false;
    last.open();
    const piece = 'p'.repeat(10_000);
    last.say(piece).say(piece).say(piece);
    await r.settle();
    assert.equal(last.paused, true);
    assert.equal(r.frames.length, 2, 'the credit, and the frame that crossed it');
    r.grant(1);
    await r.settle();
    assert.deepEqual([last.paused, r.frames.length], [false, 3]);
  });

  test('a back end that does not read gets no more than its bound, then the session ends with 1013', async () => {
    const r = await proxied({ proxy: { bufferBytesMax: 16 * 1024, stallTimeoutMs: 500 } });
    const { last } = sockets(r);
    last.open();
    last.stuck = true;
    const numbers = Array.from({ length: 10 }, () => r.send(1, 'x'.repeat(5_000)));
    await r.settle();
    assert.equal(last.got.length, 4, 'the bound, and the message that crossed it');
    assert.deepEqual(r.settled, numbers.slice(0, 4));
    await r.pass(300);
    last.drain();
    await r.pass(300);
    assert.deepEqual([last.got.length, r.closes.length], [8, 0], 'it has read meanwhile');
    await r.pass(250);
    assert.deepEqual(
      r.closes.map(({ code }) => code),
      [1013],
    );
    assert.equal(last.ended, 1001);
    assert.deepEqual(
      r.settled.toSorted((a, b) => a - b),
      numbers,
      'main keeps nothing of it',
    );
  });

  test('a message above its bound ends the session with 1009 and is nobody’s failover', async () => {
    const r = await proxied();
    sockets(r).last.open().gone(1006, '', true);
    await r.settle();
    assert.deepEqual(
      r.closes.map(({ code }) => code),
      [1009],
    );
    assert.equal(sockets(r).all.length, 1);
  });

  test('a silent back end is pinged, and lost when it stays silent', async () => {
    const r = await proxied({ proxy: { pingIntervalMs: 100 } });
    const { last } = sockets(r);
    last.open().say('hello');
    await r.pass(220);
    assert.equal(last.pings, 1);
    last.pong();
    await r.pass(200);
    assert.equal(last.pings, 2);
    assert.equal(r.closes.length, 0);
    await r.pass(110);
    assert.equal(last.ended, 'terminated');
    assert.deepEqual(
      r.closes.map(({ code }) => code),
      [1014],
    );
  });

  test('idle and old sessions end, each with its own code', async () => {
    const idle = await proxied({ proxy: { idleTimeoutMs: 100 } });
    sockets(idle).last.open();
    await idle.pass(80);
    idle.send(1, 'a');
    await idle.pass(80);
    assert.equal(idle.closes.length, 0);
    await idle.pass(40);
    assert.deepEqual(
      idle.closes.map(({ code }) => code),
      [1001],
    );
    const old = await proxied({ proxy: { sessionMsMax: 100 } });
    sockets(old).last.open();
    await old.pass(110);
    assert.deepEqual(
      old.closes.map(({ code }) => code),
      [1012],
    );
    assert.equal(sockets(old).last.ended, 1001);
  });

  test('a stop closes back ends with 1001, whatever they were doing', async () => {
    const r = await proxied();
    sockets(r).last.open().say('hello');
    r.open(2, 'proxy');
    await r.settle();
    r.order(Kind.stop);
    await r.relay.stopped;
    assert.deepEqual(
      sockets(r).all.map(({ ended }) => ended),
      [1001, 1001],
    );
    assert.deepEqual(r.inFlight(), [0, 0, 0]);
  });
});

describe('reuse', () => {
  const reusing = (proxy: object = {}) =>
    proxied({ proxy, upstreams: backEnds({ reuse: true }).slice(0, 1) });
  const again = async (r: Rig) => {
    r.open(2, 'proxy');
    await r.settle();
  };

  test('after an orderly end the next client gets the connection, without a handshake', async () => {
    const r = await reusing();
    const { last } = sockets(r);
    last.open();
    r.send(1, 'a');
    await r.settle();
    last.say('A');
    r.leave(1, 1000);
    await r.settle();
    assert.equal(last.live, true);
    assert.deepEqual(r.inFlight(), [0], 'nobody is there');
    await again(r);
    r.send(2, 'b');
    await r.settle();
    assert.equal(sockets(r).all.length, 1);
    assert.deepEqual(last.got, ['a', 'b']);
    last.say('B');
    await r.settle();
    assert.deepEqual(
      r.frames.map(({ slot, text }) => [slot, text]),
      [
        [1, 'A'],
        [2, 'B'],
      ],
    );
    assert.deepEqual(last.request.headers, {}, 'it is nobody’s');
  });

  for (const [why, act] of [
    ['the client was lost', (r: Rig) => r.leave(1, 1006)],
    ['an answer may be on its way', (r: Rig) => (r.send(1, 'unanswered'), r.leave(1, 1000))],
  ] as const) {
    test(`not when ${why}`, async () => {
      const r = await reusing();
      sockets(r).last.open().say('hello');
      act(r);
      await r.settle();
      assert.equal(sockets(r).sockets, 0);
    });
  }

  test('kept connections are bounded in number and time, and none that speaks is given to anybody', async () => {
    const r = await reusing({ idleSocketsMax: 1, idleSocketMs: 200 });
    sockets(r).last.open();
    await again(r);
    sockets(r).last.open();
    r.leave(1, 1000);
    r.leave(2, 1000);
    await r.settle();
    assert.equal(sockets(r).sockets, 1);
    await r.pass(210);
    assert.equal(sockets(r).sockets, 0);
    await again(r);
    const { last } = sockets(r);
    last.open();
    r.leave(2, 1000);
    await r.settle();
    assert.equal(last.live, true);
    last.say('to nobody');
    assert.equal(last.live, false);
  });
});
