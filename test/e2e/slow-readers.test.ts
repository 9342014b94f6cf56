/** Back-pressure end to end: who does not read slows only itself, down to its upstream's socket, and loses nothing. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { backendsHere } from '../support/backend/here.ts';
import { open } from '../support/client.ts';
import {
  deltaText,
  type GushingUpstream,
  startGushingUpstream,
} from '../support/gushing-upstream.ts';
import { answer, ask, assertWhole, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

const STALLED = process.env.SLOW ? 100 : 30;
/** More than the kernel's buffers on both hops hold. */
const DELTAS = 230;
const DELTA_BYTES = 60_000;
const whole = Array.from({ length: DELTAS }, (_, n) => deltaText(n, DELTA_BYTES)).join('');

for (const backend of backendsHere) {
  describe(`slow readers over ${backend}`, () => {
    let gushing: GushingUpstream;
    let engine: Engine;
    let url: string;
    let admin: string;
    before(async () => {
      gushing = await startGushingUpstream(DELTAS, DELTA_BYTES);
      engine = createEngine({
        server: { port: 0, backend },
        admin: { port: 0 },
        log: { level: 'silent' },
        session: { creditBytes: 64 * 1024, slowClientTimeoutMs: 4_000 },
        stream: { gapTimeoutMs: 500 },
        upstreams: [{ name: 'gush', url: gushing.url, models: ['gush'], maxConnections: 1_000 }],
        demo: { enabled: true, firstTokenMs: 1, tokensPerSecond: 20_000 },
      });
      const address = await engine.listen();
      url = `${address.url}/v1/responses`;
      admin = `http://127.0.0.1:${address.admin?.port}`;
    });
    after(async () => {
      await engine.close();
      await gushing.close();
    });

    const metrics = async () => (await fetch(`${admin}/metrics`)).text();

    test(`${STALLED} stalled readers do not move the others; one that reads again in time gets every byte; the rest are closed`, async () => {
      const stalled = await Promise.all(Array.from({ length: STALLED }, () => open(url)));
      for (const client of stalled) {
        client.socket.pause();
        ask(client, 'go', { model: 'gush' });
      }
      const patient = stalled[0];
      await until(() => gushing.begun === STALLED, 'all upstream answers to begin', 20_000);
      const busy = await open(url);
      for (let turn = 0; turn < 10; turn++) {
        ask(busy, '@echo not held up by anyone');
        const events = await answer(busy);
        assertWhole(events);
        assert.equal(textOf(events), 'not held up by anyone');
      }
      assert.equal(gushing.taken, 0, 'no stalled answer was taken from its upstream to the end');
      patient.socket.resume();
      const events = await answer(patient, 30_000);
      const end = assertWhole(events);
      assert.equal(end.type, 'response.completed', JSON.stringify(end.response?.error));
      assert.ok(textOf(events) === whole, 'every byte, in order');
      await until(
        async () =>
          new RegExp(`^millrace_slow_clients_total ${STALLED - 1}$`, 'm').test(await metrics()),
        'the others to be noticed as slow',
        20_000,
      );
      // Their streams were cancelled, no clock of theirs took our own pause for a stalled upstream, and nothing is held.
      await until(
        async () => /^millrace_streams_running 0$/m.test(await metrics()),
        'their streams to end',
      );
      const text = await metrics();
      assert.match(text, /^millrace_errors_total\{code="MILLRACE_UPSTREAM_GAP_TIMEOUT"\} 0$/m);
      assert.match(text, /^millrace_sends_dropped_total 0$/m);
      for (const client of [...stalled, busy]) client.socket.terminate();
    });
  });
}

test('a silent client is pinged, and closed when it does not even answer that', async () => {
  const engine = createEngine({
    server: { port: 0, pingIntervalMs: 100, idleTimeoutMs: 400 },
    admin: { enabled: false },
    log: { level: 'silent' },
  });
  const { url } = await engine.listen();
  const polite = await open(`${url}/ws`);
  let pings = 0;
  polite.socket.on('ping', () => void pings++);
  const dead = await open(`${url}/ws`, { ws: { autoPong: false } });
  await dead.closed;
  await until(() => pings >= 5, 'pings to go on');
  polite.send('still here');
  assert.equal((await polite.next()).text, 'still here');
  await polite.close();
  await engine.close();
});
