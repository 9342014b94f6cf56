import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { it } from 'node:test';
import { type Implementation, serve } from '../../../../support/backend/serve.ts';
import { open } from '../../../../support/client.ts';
import { frame, opcode, RawClient } from '../../../../support/raw-client.ts';
import { until } from '../../../../support/until.ts';

const openFiles = () => readdirSync('/proc/self/fd').length;

export function floods(implementation: Implementation): void {
  // Over TLS a handshake costs both of its ends, which are one thread here, a hundred times as much.
  const rounds = implementation.tls ? 3 : 20;

  it(`leaks nothing over ${rounds * 50} connections, ended in every way`, async (t) => {
    const served = await serve(t, implementation);
    await (await open(served.url)).close();
    await until(() => served.closes.length === 1, 'the close');
    const before = process.platform === 'linux' ? openFiles() : 0;
    for (let round = 0; round < rounds; round++) {
      const clients = await Promise.all(
        Array.from({ length: 50 }, () => RawClient.open(served.port)),
      );
      for (const [i, client] of clients.entries()) {
        const way = i % 5;
        if (way === 0) client.reset();
        else if (way === 1) client.socket.destroy();
        else if (way === 2) client.write(frame({ opcode: opcode.close }));
        else if (way === 3) served.connections.at(-1 - i)?.terminate();
        else client.write(frame({ opcode: 3 }));
      }
      for (const connection of served.connections) if (connection.open) connection.close(1001, '');
      const over = (client: RawClient) => client.ended || client.closeCode !== undefined;
      await until(() => clients.every(over), 'the clients’ ends');
      for (const client of clients) client.reset();
    }
    await until(() => served.closes.length === rounds * 50 + 1, 'the closes');
    assert.equal(new Set(served.closes.map(({ connection }) => connection)).size, rounds * 50 + 1);
    if (before > 0) await until(() => openFiles() <= before + 2, 'the files of before');
    assert.deepEqual(served.faults, []);
  });

  it('answers 20,000 pings and goes on serving others', async (t) => {
    const served = await serve(t, implementation);
    const [flooding, other] = [await RawClient.open(served.port), await open(served.url)];
    const batch = Buffer.concat(
      Array.from({ length: 1_000 }, () => frame({ opcode: opcode.ping, payload: '1234' })),
    );
    for (let i = 0; i < 20; i++) flooding.write(batch);
    other.send('hello');
    assert.equal((await other.next()).text, 'hello');
    await until(() => served.counts.alive === 20_000, 'the pings');
    await until(() => flooding.frames.length === 20_000, 'the pongs');
    flooding.reset();
  });

  it('holds a message of many tiny fragments within its bound, and closes one above', async (t) => {
    const served = await serve(t, implementation, {}, { messageBytesMax: 10_000 });
    const client = await RawClient.open(served.port);
    const piece = (first: boolean, fin: boolean) =>
      frame({ opcode: first ? opcode.text : opcode.continuation, payload: 'x', fin });
    const fragments = (count: number) =>
      Buffer.concat(Array.from({ length: count }, (_, i) => piece(i === 0, i === count - 1)));
    client.write(fragments(9_000));
    await until(() => client.frames.length === 1, 'the echo');
    assert.equal(client.frames[0].payload.length, 9_000);
    client.write(fragments(200_000));
    await until(() => client.ended, 'the end');
    assert.equal(served.messages.length, 1);
  });

  it('survives handshakes, 200 at once, and resets inside frames', async (t) => {
    const served = await serve(t, implementation);
    const whole = frame({ opcode: opcode.binary, payload: Buffer.alloc(70_000) });
    for (let round = 0; round < rounds / 2; round++) {
      const clients = await Promise.all(
        Array.from({ length: 200 }, () => RawClient.open(served.port)),
      );
      for (const [i, client] of clients.entries())
        client.socket.write(whole.subarray(0, 1 + ((i * 397) % whole.length)), () =>
          client.reset(),
        );
      await until(() => served.closes.length === (round + 1) * 200, 'the closes', 10_000);
    }
    assert.deepEqual(served.messages, []);
    await (await open(served.url)).close();
    assert.deepEqual(served.faults, []);
  });
}
