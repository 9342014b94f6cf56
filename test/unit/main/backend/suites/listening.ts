import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MillraceError } from '../../../../../src/errors.ts';
import { createWsBackend } from '../../../../../src/main/backend/ws.ts';
import { type Implementation, serve, silent } from '../../../../support/backend/serve.ts';
import { open } from '../../../../support/client.ts';
import { until } from '../../../../support/until.ts';

const handlers = {
  upgrade: () => ({ accept: true, user: undefined }) as const,
  open() {},
  message() {},
  drain() {},
  alive() {},
  close() {},
  http: () => ({ status: 200, headers: {}, body: '' }),
  fault() {},
};

/** Told, not 0: the core of uWebSockets.js marks a listening socket for reuse or sharing only when it is told the port. */
async function freePort(): Promise<number> {
  const free = await createWsBackend().listen(silent, handlers);
  await free.close();
  return free.port;
}

export function listening(implementation: Implementation): void {
  it('refuses a port that is taken, by itself and by the other server', async (t) => {
    const served = await serve(t, implementation, {}, { port: await freePort() });
    const options = { ...silent, port: served.port };
    for (const backend of [implementation.create(), createWsBackend()])
      await assert.rejects(backend.listen(options, handlers), (error) => {
        assert.ok(error instanceof MillraceError);
        assert.equal(error.code, 'MILLRACE_PORT_TAKEN');
        assert.deepEqual(error.details, { host: '127.0.0.1', port: served.port });
        return true;
      });
    const other = await createWsBackend().listen(silent, handlers);
    t.after(() => other.close());
    await assert.rejects(
      implementation.create().listen({ ...silent, port: other.port }, handlers),
      { code: 'MILLRACE_PORT_TAKEN' },
    );
    // The first one still serves.
    await (await open(served.url)).close();
  });

  it('says why an address cannot be listened on', async () => {
    for (const host of ['192.0.2.1', 'name.invalid'])
      await assert.rejects(implementation.create().listen({ ...silent, host }, handlers), {
        code: 'MILLRACE_LISTEN_FAILED',
      });
  });

  it('says where it listens, also of a name and of ::1', async (t) => {
    for (const host of ['localhost', '::1']) {
      const served = await serve(t, implementation, {}, { host });
      assert.ok(served.port > 0);
      const { host: bound } = served.listening;
      assert.ok(bound === '::1' || (host === 'localhost' && bound === '127.0.0.1'), bound);
      const authority = bound.includes(':') ? `[${bound}]` : bound;
      await (await open(served.at(authority))).close();
    }
  });

  it('takes no new connections after unlisten, and keeps the open ones', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url);
    served.listening.unlisten();
    served.listening.unlisten();
    await assert.rejects(open(served.url), { code: 'ECONNREFUSED' });
    client.send('still here');
    assert.equal((await client.next()).text, 'still here');
  });

  it('drops what is open on close, tells of each, and frees the port', async (t) => {
    const served = await serve(t, implementation, {}, { port: await freePort() });
    const clients = await Promise.all(Array.from({ length: 20 }, () => open(served.url)));
    await Promise.all([served.listening.close(), served.listening.close()]);
    const closes = await Promise.all(clients.map(({ closed }) => closed));
    assert.deepEqual(new Set(closes.map(({ code }) => code)), new Set([1006]));
    await until(() => served.closes.length === 20, 'the closes');
    served.listening.unlisten();
    const again = await serve(t, implementation, {}, { port: served.port });
    assert.equal(again.port, served.port);
    await (await open(again.url)).close();
  });
}
