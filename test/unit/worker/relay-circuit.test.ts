import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Rig, rig } from '../../support/relay-rig.ts';

const upstreams = (count: number, more: object = {}) =>
  ['one', 'two', 'three']
    .slice(0, count)
    .map((name) => ({ name, url: `http://${name}.test/v1`, models: ['demo'], ...more }));

describe('a circuit', () => {
  const three = {
    upstreams: upstreams(3, { maxConnections: 100 }),
    balance: { circuitBreakerThreshold: 3, circuitBreakerTimeoutMs: 1_000, slowStartMs: 0 },
  };
  /** Turns that fail at the first upstream until its circuit opens. */
  async function opened(r: Rig): Promise<void> {
    for (let failed = 0; failed < 3; ) {
      r.ask(1);
      await r.settle();
      if (r.transport.last.upstream === 'one') {
        r.transport.last.sent().fail();
        failed += 1;
        await r.settle();
      }
      r.transport.last.answer('x');
      await r.settle();
    }
  }

  /** Which upstreams the next turns meet. */
  async function met(r: Rig, turns: number): Promise<Set<string>> {
    const names = new Set<string>();
    for (let n = 0; n < turns; n++) {
      r.ask(1);
      await r.settle();
      names.add(r.transport.last.upstream);
      r.transport.last.answer('x');
      await r.settle();
    }
    return names;
  }

  test('opens after failures in a row, is said once, and the upstream is left alone', async () => {
    const r = rig({ options: three });
    r.open(1);
    await opened(r);
    const said = r.parts.facts.filter(({ fact }) => fact === 'upstream-circuit');
    assert.deepEqual(said, [
      { fact: 'upstream-circuit', upstream: 'one', model: 'demo', change: 'opened' },
    ]);
    assert.deepEqual(await met(r, 6), new Set(['two', 'three']));
  });

  test('after its time one stream probes; its first token closes it', async () => {
    const r = rig({ options: three });
    r.open(1);
    await opened(r);
    await r.pass(1_005);
    const turns = Array.from({ length: 6 }, (_, at) => r.ask(1, { stream_id: `s${at}` }));
    await r.settle();
    const running = r.transport.exchanges.filter(({ live }) => live);
    const probing = running.filter(({ upstream }) => upstream === 'one');
    assert.equal(probing.length, 1, 'one permit');
    probing[0].sent().head().say('he');
    await r.settle();
    assert.equal(r.parts.facts.filter(({ fact }) => fact === 'upstream-circuit').length, 2);
    probing[0].fail();
    for (const exchange of running) if (exchange !== probing[0]) exchange.answer('x');
    await r.settle();
    for (const turn of turns) assert.ok(r.hasEnd(turn));
    assert.ok((await met(r, 6)).has('one'), 'one failure after a good probe is one failure');
    r.assertIdle();
  });

  test('never leaves the last upstream out, however it fails', async () => {
    const r = rig({ options: { ...three, upstreams: upstreams(1), stream: { maxRetries: 0 } } });
    r.open(1);
    for (let n = 0; n < 10; n++) {
      const turn = r.ask(1);
      await r.settle();
      r.transport.last.sent().fail();
      await r.settle();
      assert.equal(r.end(turn).code, 'upstream_reset');
    }
    assert.equal(r.transport.exchanges.length, 10);
  });

  test('a full upstream is not replaced by one whose circuit is open', async () => {
    const options = { ...three, upstreams: upstreams(2, { maxConnections: 1 }) };
    const r = rig({ options });
    r.open(1);
    await opened(r);
    r.ask(1, { stream_id: 'a' });
    await r.settle();
    assert.equal(r.transport.last.upstream, 'two');
    const second = r.ask(1, { stream_id: 'b' });
    await r.pass(100);
    assert.equal(r.hasEnd(second), false, 'it waits');
    r.transport.last.answer('x');
    await r.settle();
    assert.equal(r.transport.last.upstream, 'two');
    r.transport.last.answer('y');
    await r.settle();
    assert.equal(r.end(second).type, 'response.completed');
  });

  test('is one per model: another model of the same upstream is not left alone', async () => {
    const r = rig({
      options: { ...three, upstreams: upstreams(2, { models: ['demo', 'other'] }) },
    });
    r.open(1);
    await opened(r);
    const names = new Set<string>();
    for (let n = 0; n < 4; n++) {
      r.ask(1, { model: 'other' });
      await r.settle();
      names.add(r.transport.last.upstream);
      r.transport.last.answer('x');
      await r.settle();
    }
    assert.deepEqual(names, new Set(['one', 'two']));
  });

  test('a client that leaves gives the permit of its probe back', async () => {
    const r = rig({ options: three });
    r.open(1);
    await opened(r);
    await r.pass(1_005);
    for (let at = 0; at < 3; at++) r.ask(1, { stream_id: `p${at}` });
    await r.settle();
    const probing = () => r.transport.exchanges.filter((e) => e.live && e.upstream === 'one');
    assert.equal(probing().length, 1);
    r.leave(1);
    await r.settle();
    assert.deepEqual(r.inFlight(), [0, 0, 0]);
    r.open(2);
    for (let at = 0; at < 3; at++) r.ask(2, { stream_id: `q${at}` });
    await r.settle();
    assert.equal(probing().length, 1);
  });
});
