import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Implementation, serve } from '../../../../support/backend/serve.ts';
import { open } from '../../../../support/client.ts';

const text = (bytes: number) =>
  '{"content":"a word","n":12} '.repeat(bytes / 28 + 1).slice(0, bytes);

export function deflating(implementation: Implementation): void {
  for (const window of ['shared', '1KiB', '4KiB'] as const) {
    it(`compresses for a client that offers it, ${window}; every size comes back, others get plain frames`, async (t) => {
      const minBytes = window === 'shared' ? 1_024 : 0;
      const served = await serve(t, implementation, {}, { deflate: { window, minBytes } });
      const client = await open(served.url, { deflate: true });
      assert.match(client.socket.extensions, /permessage-deflate/);
      const plain = await open(served.url);
      assert.equal(plain.socket.extensions, '');
      for (const size of [0, 1, 100, 1_023, 1_024, 16_384, 70_000, 500_000]) {
        for (const each of [client, plain]) {
          each.send(text(size));
          assert.equal((await each.next()).text, text(size), `${size}`);
          each.send(Buffer.from(text(size)));
          const back = await each.next();
          assert.ok(back.binary && back.text === text(size), `${size}, binary`);
        }
      }
    });
  }

  it('what it sends is shorter on the wire', async (t) => {
    const served = await serve(
      t,
      implementation,
      {},
      { deflate: { window: 'shared', minBytes: 0 } },
    );
    const client = await open(served.url, { deflate: true });
    const before = wireBytes(client);
    client.send(text(50_000));
    await client.next();
    assert.ok(wireBytes(client) - before < 5_000, `${wireBytes(client) - before}`);
  });

  it('is not offered unless asked for', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url, { deflate: true });
    assert.equal(client.socket.extensions, '');
  });

  it('a bomb ends its own session, with memory bounded by a message', async (t) => {
    const terms = { deflate: { window: 'shared', minBytes: 0 }, messageBytesMax: 100_000 } as const;
    const served = await serve(t, implementation, {}, terms);
    const client = await open(served.url, { deflate: true });
    const other = await open(served.url, { deflate: true });
    client.send('x'.repeat(50_000_000));
    const { code } = await client.closed;
    assert.ok(code === 1009 || code === 1006, `${code}`);
    assert.equal(served.messages.length, 0);
    other.send('still here');
    assert.equal((await other.next()).text, 'still here');
  });
}

function wireBytes(client: Awaited<ReturnType<typeof open>>): number {
  const { bytesRead } = Reflect.get(client.socket, '_socket') as { bytesRead: number };
  return bytesRead;
}
