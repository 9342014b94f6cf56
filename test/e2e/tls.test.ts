/** The whole gateway over TLS and behind a proxy, over both backends: its address, a session, the client's own address, certificates that cannot be used. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, describe, test } from 'node:test';
import { createEngine } from '../../src/engine/engine.ts';
import { MillraceError } from '../../src/errors.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { backendsHere } from '../support/backend/here.ts';
import { Certificates } from '../support/certificates.ts';
import { open, RefusedError } from '../support/client.ts';
import { until } from '../support/until.ts';

const made = new Certificates();
after(() => made.remove());
const { certFile, keyFile } = made.make('gateway');
const ca = readFileSync(certFile);

interface Line {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

function started(server: UserOptions['server'], more: UserOptions = {}) {
  const lines: Line[] = [];
  const write = (fields: object, text: string) => void lines.push({ fields: { ...fields }, text });
  const log = { debug: write, info: write, warn: write, error: write };
  const engine = createEngine(
    { admin: { enabled: false }, ...more, server: { port: 0, ...server } },
    { log },
  );
  return { engine, lines };
}

for (const backend of backendsHere) {
  describe(`the gateway over ${backend}`, () => {
    test('serves wss where it has a certificate, and says so', async (t) => {
      const { engine } = started({ backend, tls: { certFile, keyFile } });
      t.after(() => engine.close());
      const { url, port } = await engine.listen();
      assert.equal(url, `wss://127.0.0.1:${port}`);
      const client = await open(`${url}/ws`, { ws: { ca } });
      client.send('hello');
      assert.equal((await client.next()).text, 'hello');
      await client.close();
    });

    test('takes files that change for the next handshakes', async (t) => {
      const other = made.make(`watched-${backend}`);
      const tls = { ...other, watchMs: 100 };
      const { engine, lines } = started({ backend, tls });
      t.after(() => engine.close());
      const { url } = await engine.listen();
      const stays = await open(`${url}/ws`, { ws: { ca: readFileSync(other.certFile) } });
      made.make(`watched-${backend}`);
      await until(
        () => lines.some(({ fields }) => fields['event'] === 'tls-renewed'),
        'the word of it',
      );
      const later = await open(`${url}/ws`, { ws: { ca: readFileSync(other.certFile) } });
      for (const client of [stays, later]) {
        client.send('here');
        assert.equal((await client.next()).text, 'here');
        await client.close();
      }
    });

    test('does not start with a certificate that cannot be used, and says why', async () => {
      const { engine } = started({ backend, tls: { certFile: made.path('none.crt') } });
      await assert.rejects(engine.listen(), (error) => {
        assert.ok(error instanceof MillraceError && error.code === 'MILLRACE_TLS_INVALID');
        assert.match(error.message, /none\.crt does not exist$/);
        return true;
      });
    });

    test('counts the sessions of the client behind a proxy, and of nobody who only says so', async (t) => {
      const server = { backend, sessionsPerAddressMax: 1, trustedProxies: ['127.0.0.1'] };
      const { engine } = started(server);
      t.after(() => engine.close());
      const { url } = await engine.listen();
      const come = async (forwarded: string) => {
        const headers = { 'x-forwarded-for': forwarded };
        const client = await open(`${url}/ws`, { headers }).catch((error: unknown) => error);
        return client instanceof RefusedError ? client.status : 101;
      };
      assert.equal(await come('203.0.113.1'), 101);
      assert.equal(await come('203.0.113.1'), 429);
      assert.equal(await come('203.0.113.99, 203.0.113.1'), 429, 'the client made up the first');
      assert.equal(await come('203.0.113.2'), 101);
    });
  });
}

describe('the PROXY protocol', () => {
  test('runs over ws unless uWebSockets.js is insisted on, and never over both it and TLS', async (t) => {
    const proxied: UserOptions['server'] = {
      proxyProtocol: 'required',
      trustedProxies: ['127.0.0.1'],
    };
    const { engine, lines } = started(proxied);
    t.after(() => engine.close());
    const { port } = await engine.listen();
    const listening = lines.find(({ fields }) => fields['event'] === 'listening');
    assert.equal(listening?.fields['backend'], 'ws');
    assert.match(String(listening.fields['why']), /because of server\.proxyProtocol/);
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.write(
      'PROXY TCP4 203.0.113.9 10.0.0.1 5 6\r\nGET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n',
    );
    await until(() => text.includes('"object":"list"'), 'the answer');
    socket.destroy();
    const refused = started({ ...proxied, backend: 'uws', tls: { certFile, keyFile } });
    await assert.rejects(refused.engine.listen(), (error) => {
      assert.ok(error instanceof MillraceError && error.code === 'MILLRACE_BACKEND_UNAVAILABLE');
      assert.match(error.message, /cannot do server\.proxyProtocol in front of server\.tls/);
      return true;
    });
  });
});
