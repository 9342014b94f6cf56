/** Over TLS, both backends: certificates by name, their change while connections stay, old versions, clients' own certificates. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { loadTls, type TlsMaterial } from '../../../../src/main/backend/tls-material.ts';
import { schema, type UserOptions } from '../../../../src/options/schema.ts';
import { listeners, serve } from '../../../support/backend/serve.ts';
import { Certificates } from '../../../support/certificates.ts';
import { open } from '../../../support/client.ts';
import { until } from '../../../support/until.ts';

type UserTls = NonNullable<NonNullable<UserOptions['server']>['tls']>;

const made = new Certificates();
after(() => made.remove());
const [first, second, named, starred] = ['first', 'second', 'named', 'starred'].map((name) =>
  made.make(name, [`${name}.test`, `*.${name}.test`]),
);

function material(tls: UserTls): TlsMaterial {
  const loaded = loadTls(schema.parse({ server: { tls } }).server.tls, Date.now());
  assert.ok(loaded);
  return loaded;
}

/** The common name on the certificate that a client sees; the code of the error where it sees none. */
function seen(port: number, options: ConnectionOptions = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket: TLSSocket = connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ...options,
    });
    socket.once('secureConnect', () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once('error', (error) => {
      resolve('code' in error ? String(error.code) : error.message);
      socket.destroy();
    });
  });
}

for (const implementation of listeners) {
  const { missing, label } = implementation;
  describe(`TLS over ${label}`, { skip: missing ?? false }, () => {
    it('shows the certificate of the name that is asked for', async (t) => {
      const tls = material({
        ...first,
        sni: [
          { serverName: 'named.test', ...named },
          { serverName: '*.starred.test', ...starred },
        ],
      });
      const { port } = await serve(t, implementation, {}, { tls });
      assert.equal(await seen(port), 'first');
      assert.equal(await seen(port, { servername: 'named.test' }), 'named');
      // No client asks in capitals; the core of uWebSockets.js takes them for another name.
      const capitals = implementation.name === 'ws' ? 'named' : 'first';
      assert.equal(await seen(port, { servername: 'NAMED.test' }), capitals);
      assert.equal(await seen(port, { servername: 'x.starred.test' }), 'starred');
      assert.equal(await seen(port, { servername: 'other.test' }), 'first');
    });

    it('serves WebSockets under every name', async (t) => {
      const tls = material({ ...first, sni: [{ serverName: '*.starred.test', ...starred }] });
      const served = await serve(t, implementation, {}, { tls });
      for (const [servername, { certFile }] of [
        ['first.test', first],
        ['a.starred.test', starred],
      ] as const) {
        const ws = { servername, ca: readFileSync(certFile) };
        const client = await open(served.url, { ws });
        client.send('hello');
        assert.equal((await client.next()).text, 'hello');
        await client.close();
      }
    });

    it('changes all certificates for new handshakes and keeps every open connection', async (t) => {
      const sni = (to: typeof named) => [{ serverName: 'named.test', ...to }];
      const tls = material({ ...first, sni: sni(named) });
      const served = await serve(t, implementation, {}, { tls });
      const stays = await open(served.url, { ws: { rejectUnauthorized: false } });
      const before = served.port;
      for (let round = 0; round < 3; round++) {
        const [one, other] = round % 2 === 0 ? [second, starred] : [first, named];
        await served.listening.renew?.(material({ ...one, sni: sni(other) }));
        for (let n = 0; n < 10; n++) {
          assert.equal(await seen(before), round % 2 === 0 ? 'second' : 'first');
          const servername = 'named.test';
          assert.equal(await seen(before, { servername }), round % 2 === 0 ? 'starred' : 'named');
        }
        stays.send(`round ${round}`);
        assert.equal((await stays.next()).text, `round ${round}`);
      }
      const later = await open(served.url, { ws: { rejectUnauthorized: false } });
      assert.deepEqual(served.closes, []);
      served.listening.unlisten();
      await until(async () => (await seen(before)) === 'ECONNREFUSED', 'nobody listens');
      later.send('still');
      assert.equal((await later.next()).text, 'still');
      await served.listening.close();
      await Promise.all([stays.closed, later.closed]);
    });

    it('speaks no version older than told', async (t) => {
      const from12 = await serve(t, implementation, {}, { tls: material(first) });
      assert.equal(await seen(from12.port, { maxVersion: 'TLSv1.2' }), 'first');
      const tls = material({ ...first, minVersion: 'TLSv1.3' });
      const from13 = await serve(t, implementation, {}, { tls });
      assert.equal(await seen(from13.port, { minVersion: 'TLSv1.3' }), 'first');
      assert.match(await seen(from13.port, { maxVersion: 'TLSv1.2' }), /^ERR_SSL_/);
      assert.match(
        await seen(from12.port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }),
        /^ERR_SSL_/,
      );
    });

    it('survives bytes that are no TLS, and leaves nobody hanging', async (t) => {
      const served = await serve(t, implementation, {}, { tls: material(first) });
      const plain = await fetch(served.http.replace('https', 'http')).catch(() => 'refused');
      assert.equal(plain, 'refused');
      const client = await open(served.url, { ws: { rejectUnauthorized: false } });
      client.send('alive');
      assert.equal((await client.next()).text, 'alive');
      await client.close();
      assert.deepEqual(served.faults, []);
    });
  });
}

describe('clients’ own certificates', () => {
  it('are required by the ws backend where their authority is named', async (t) => {
    const [implementation] = listeners.filter(({ name }) => name === 'ws');
    const tls = material({ ...first, caFile: second.certFile });
    const served = await serve(t, implementation, {}, { tls });
    const come = (of?: typeof first) =>
      open(served.url, {
        ws: {
          rejectUnauthorized: false,
          ...(of && { cert: readFileSync(of.certFile), key: readFileSync(of.keyFile) }),
        },
      }).then(
        (client) => (client.socket.terminate(), 'in'),
        () => 'out',
      );
    assert.deepEqual([await come(), await come(named), await come(second)], ['out', 'out', 'in']);
  });
});
