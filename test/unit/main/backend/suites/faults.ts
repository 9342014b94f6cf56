import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { BackendHandlers } from '../../../../../src/main/backend/backend.ts';
import { type Implementation, serve } from '../../../../support/backend/serve.ts';
import { open, RefusedError } from '../../../../support/client.ts';
import { until } from '../../../../support/until.ts';

const secret = new Error('a secret of ours');
const fail = () => {
  throw secret;
};

export function faults(implementation: Implementation): void {
  for (const where of ['open', 'message', 'alive'] as const)
    it(`closes with 1011 when ${where} throws, counts it and goes on`, async (t) => {
      const served = await serve(t, implementation, { [where]: fail });
      const client = await open(served.url);
      client.socket.ping();
      client.send('x');
      const { code, reason } = await client.closed;
      assert.equal(code, 1011);
      assert.ok(!reason.includes('secret'));
      assert.deepEqual(served.faults[0], { error: secret, where });
      await until(() => served.closes.length === 1, 'the close');
    });

  it('closes with 1011 when drain throws', async (t) => {
    const served = await serve(t, implementation, { drain: fail });
    const client = await open(served.url);
    client.socket.pause();
    const [connection] = served.connections;
    while (connection.buffered() < 1024 * 1024) connection.send(Buffer.alloc(60_000), true);
    client.socket.resume();
    assert.equal((await client.closed).code, 1011);
    assert.deepEqual(served.faults[0], { error: secret, where: 'drain' });
  });

  it('outlives a close handler that throws', async (t) => {
    const served = await serve(t, implementation, { close: fail });
    const first = await open(served.url);
    await first.close(1000);
    const second = await open(served.url);
    served.connections[1].terminate();
    await second.closed;
    await until(() => served.faults.length === 2, 'two faults');
    assert.deepEqual(served.faults[0], { error: secret, where: 'close' });
  });

  const upgrades: Record<string, BackendHandlers['upgrade']> = {
    throws: fail,
    rejects: () => Promise.reject(secret),
  };
  for (const [how, upgrade] of Object.entries(upgrades))
    it(`answers 500 without a reason when upgrade ${how}`, async (t) => {
      const served = await serve(t, implementation, { upgrade });
      const error = await open(served.url).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof RefusedError);
      assert.equal(error.status, 500);
      assert.ok(!error.body.includes('secret'));
      assert.deepEqual(served.faults, [{ error: secret, where: 'upgrade' }]);
    });

  const plain: Record<string, BackendHandlers['http']> = {
    throws: fail,
    rejects: () => Promise.reject(secret),
  };
  for (const [how, http] of Object.entries(plain))
    it(`answers 500 without a reason when http ${how}`, async (t) => {
      const served = await serve(t, implementation, { http });
      for (const body of [null, 'posted']) {
        const answer = await fetch(`${served.http}/`, {
          method: body === null ? 'GET' : 'POST',
          body,
        });
        assert.equal(answer.status, 500);
        assert.ok(!(await answer.text()).includes('secret'));
      }
      assert.deepEqual(
        served.faults.map(({ where }) => where),
        ['http', 'http'],
      );
    });
}
