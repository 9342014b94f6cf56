/** The client's address from a PROXY header, and what becomes of one that nobody asked for; over TLS too where the backend can. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { after, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { ListenOptions, ProxyPeers } from '../../../../src/main/backend/backend.ts';
import { HEADER_WAIT_MS } from '../../../../src/main/backend/proxy-door.ts';
import { loadTls } from '../../../../src/main/backend/tls-material.ts';
import { trustedPeers } from '../../../../src/main/backend/trusted-peers.ts';
import { schema } from '../../../../src/options/schema.ts';
import { proxyV2 } from '../../../support/backend/proxy-v2.ts';
import { type Implementation, listeners, serve } from '../../../support/backend/serve.ts';
import { Certificates } from '../../../support/certificates.ts';
import { frame, handshake, opcode, RawClient } from '../../../support/raw-client.ts';
import { until } from '../../../support/until.ts';

const ours: ProxyPeers = { required: false, trusts: trustedPeers(['127.0.0.0/8']) };
const required: ProxyPeers = { ...ours, required: true };
const strangers: ProxyPeers = { required: false, trusts: trustedPeers(['10.0.0.0/8']) };

const v1 = 'PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\r\n';
const v2 = proxyV2({ source: '203.0.113.9', tlv: Buffer.from([4, 0, 1, 0]) });

/** A server that answers with the address it saw. */
async function telling(
  t: TestContext,
  implementation: Implementation,
  options: Partial<ListenOptions>,
) {
  const addresses: string[] = [];
  const served = await serve(
    t,
    implementation,
    {
      upgrade: (head) => (addresses.push(head.address), { accept: true, user: undefined }),
      http: (head) => ({ status: 200, headers: {}, body: head.address }),
    },
    options,
  );
  const get = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${served.port}\r\n\r\n`;
  return { ...served, addresses, get };
}

/** What came back to these bytes: the address as the server saw it, a status, or the end. */
async function said(port: number, ...pieces: (string | Uint8Array)[]): Promise<string> {
  const client = await RawClient.connect(port);
  for (const piece of pieces) {
    client.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => client.ended || /\r\n\r\n./s.test(client.text), 'an answer');
  const { text, status } = client;
  client.reset();
  if (status === 200) return text.split('\r\n\r\n')[1];
  return status === 0 ? 'dropped' : String(status);
}

for (const implementation of listeners) {
  const { missing, label, name } = implementation;
  describe(`PROXY headers over ${label}`, { skip: missing ?? false }, () => {
    it('of a trusted proxy tell the client’s address, for requests and sessions', async (t) => {
      const served = await telling(t, implementation, { proxy: ours });
      assert.equal(
        await said(served.port, Buffer.concat([v2, Buffer.from(served.get)])),
        '203.0.113.9',
      );
      assert.equal(await said(served.port, served.get), '127.0.0.1');
      const client = await RawClient.connect(served.port);
      client.write(Buffer.concat([v2, Buffer.from(handshake(served.port))]));
      await until(() => client.status === 101, 'the upgrade');
      assert.deepEqual(served.addresses, ['203.0.113.9']);
      client.write(frame({ opcode: opcode.text, payload: 'hello' }));
      await until(() => client.frames.length === 1, 'the echo');
      client.reset();
    });

    it('may come in single bytes, together with anything behind them', async (t) => {
      const served = await telling(t, implementation, { proxy: ours });
      const bytes = [...Buffer.concat([v2, Buffer.from(served.get)])];
      const got = await said(served.port, ...bytes.map((byte) => Uint8Array.of(byte)));
      assert.equal(got, '203.0.113.9');
    });

    it('are required where they are, and of nobody else', async (t) => {
      const served = await telling(t, implementation, { proxy: required });
      assert.equal(
        await said(served.port, Buffer.concat([v2, Buffer.from(served.get)])),
        '203.0.113.9',
      );
      const without = await said(served.port, served.get);
      assert.equal(without, name === 'ws' ? 'dropped' : '400');
    });

    it('of strangers are no headers, and the stranger’s address is its own', async (t) => {
      for (const proxy of [strangers, undefined]) {
        const served = await telling(t, implementation, { ...(proxy && { proxy }) });
        for (const header of [v2, Buffer.from(v1)]) {
          const bytes = Buffer.concat([header, Buffer.from(served.get)]);
          const client = await RawClient.connect(served.port);
          client.write(bytes);
          client.socket.end();
          await until(() => client.ended, 'the end');
          assert.ok(!client.text.includes(' 200 '), client.text);
          assert.ok(!client.text.includes('203.0.113.9'));
        }
        assert.equal(await said(served.port, served.get), '127.0.0.1');
      }
    });

    it('cannot be sent by a client behind a proxy of ours, in a second request', async (t) => {
      const served = await telling(t, implementation, { proxy: ours });
      const forged = Buffer.concat([proxyV2({ source: '127.0.0.9' }), Buffer.from(served.get)]);
      for (const first of [v2, Buffer.alloc(0)]) {
        const client = await RawClient.connect(served.port);
        client.write(Buffer.concat([first, Buffer.from(served.get), forged]));
        await until(() => client.ended || client.statuses.length > 0, 'the first answer');
        client.write(forged);
        await until(() => client.ended, 'the end');
        assert.ok(!client.text.includes('127.0.0.9'), client.text);
        client.reset();
      }
    });

    it('are followed by requests as strict as ever', async (t) => {
      const served = await telling(t, implementation, { proxy: ours });
      const bad = `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`;
      assert.equal(await said(served.port, Buffer.concat([v2, Buffer.from(bad)])), '400');
    });
  });
}

describe('PROXY headers over ws', () => {
  const [ws] = listeners.filter(({ name }) => name === 'ws');
  const made = new Certificates();
  after(() => made.remove());

  it('may be of version 1, at every split', async (t) => {
    const served = await telling(t, ws, { proxy: required });
    for (let cut = 1; cut < v1.length; cut += 7)
      assert.equal(
        await said(served.port, v1.slice(0, cut), v1.slice(cut) + served.get),
        '203.0.113.9',
      );
    assert.equal(await said(served.port, `PROXY UNKNOWN\r\n${served.get}`), '127.0.0.1');
    const local = proxyV2({ command: 0x20, family: 0 });
    assert.equal(
      await said(served.port, Buffer.concat([local, Buffer.from(served.get)])),
      '127.0.0.1',
    );
  });

  it('that are broken, too long or cut off end the connection', async (t) => {
    const served = await telling(t, ws, { proxy: ours });
    const broken = [
      'PROXY TCP4 203.0.113.9 10.0.0.1 56324 99999\r\n',
      `PROXY UNKNOWN ${'x'.repeat(200)}`,
      proxyV2({ family: 0, body: Buffer.alloc(5_000) }),
      proxyV2({ family: 0x12, body: Buffer.alloc(12) }),
    ];
    for (const bytes of broken) assert.equal(await said(served.port, bytes), 'dropped');
    assert.equal(await said(served.port, v1 + served.get), '203.0.113.9');
  });

  it('that never end are waited for only so long, one byte after the other', async (t) => {
    const served = await telling(t, ws, { proxy: ours });
    const client = await RawClient.connect(served.port);
    const began = performance.now();
    const dripping = setInterval(() => client.write('x'), 100);
    client.write('PROXY UNKNOWN ');
    await until(() => client.ended, 'the end', HEADER_WAIT_MS + 4_000);
    clearInterval(dripping);
    assert.ok(performance.now() - began < HEADER_WAIT_MS + 3_500);
    assert.deepEqual(served.faults, []);
  });

  it('come before TLS, whose clients are told apart', async (t) => {
    const { server } = schema.parse({ server: { tls: made.make('behind') } });
    const tls = loadTls(server.tls, Date.now());
    assert.ok(tls);
    const served = await telling(t, ws, { proxy: required, tls });
    const through = (header: string | Uint8Array) =>
      new Promise<string>((resolve, reject) => {
        const tcp = connect({ port: served.port, host: '127.0.0.1' });
        tcp.write(header);
        const secure = connectTls({ socket: tcp, rejectUnauthorized: false });
        let text = '';
        secure.on('secureConnect', () => secure.write(served.get));
        secure.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          const body = /\r\n\r\n(.+)$/s.exec(text);
          if (body) secure.destroy();
          if (body) resolve(body[1]);
        });
        secure.on('error', reject);
      });
    const others = ['203.0.113.1', '203.0.113.2', '2001:db8::3'];
    const seen = await Promise.all(others.map((source) => through(proxyV2({ source }))));
    assert.deepEqual(seen, others);
    assert.equal(await through(v1), '203.0.113.9');
  });

  it('are waited for no longer than the server lives', async (t) => {
    const served = await telling(t, ws, { proxy: required });
    const client = await RawClient.connect(served.port);
    client.write('PROXY TCP4');
    await until(() => client.socket.bytesWritten > 0, 'the bytes');
    await served.listening.close();
    await until(() => client.ended, 'the end');
  });
});
