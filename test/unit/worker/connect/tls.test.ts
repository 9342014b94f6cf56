/** HTTPS upstreams over loopback, with a certificate made for this run (needs the openssl command). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import type { MillraceError } from '../../../../src/errors.ts';
import type { Transport } from '../../../../src/protocol/transport.ts';
import { HttpTransport } from '../../../../src/worker/connect/http.ts';
import { RawTransport } from '../../../../src/worker/connect/raw.ts';
import { until } from '../../../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string) => join(folder, name);
const made = spawnSync('openssl', [
  ...[
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
  ],
  ...['-keyout', file('key.pem'), '-out', file('cert.pem'), '-subj', '/CN=localhost'],
  ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
]);
const skip = made.status === 0 ? false : 'no openssl command here';

interface Got {
  readonly calls: string[];
  text: string;
  error: MillraceError | undefined;
}

function open(on: Transport, origin: string, onData: () => void = () => {}) {
  const got: Got = { calls: [], text: '', error: undefined };
  const request = { method: 'POST' as const, path: '/', headers: {}, body: 'hello' };
  const exchange = on.open({ name: 'one', origin }, request, {
    sent: () => void got.calls.push('sent'),
    head: () => void got.calls.push('head'),
    data: (bytes) => {
      got.text += Buffer.from(bytes).toString('latin1');
      onData();
    },
    end: () => void got.calls.push('end'),
    fail: (error) => {
      got.error = error;
      got.calls.push('fail');
    },
  });
  return { got, exchange };
}

async function whole(on: Transport, origin: string): Promise<Got> {
  const { got } = open(on, origin);
  await until(() => got.calls.includes('end') || got.error, 'the end');
  return got;
}

async function serve(t: TestContext, answer: http.RequestListener) {
  const [key, cert] = [readFileSync(file('key.pem')), readFileSync(file('cert.pem'))];
  const server = https.createServer({ key, cert }, answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { ca: cert.toString(), port: (server.address() as AddressInfo).port };
}

const bounds = { idleSocketsMax: 2, idleMs: 5000 };

for (const Made of [HttpTransport, RawTransport]) {
  describe(`${Made.name} over TLS`, { skip }, () => {
    test('a trusted upstream is spoken to, its socket used again; an untrusted one is refused before a byte is sent', async (t) => {
      let requests = 0;
      const { ca, port } = await serve(t, (request, response) => {
        requests += 1;
        request.pipe(response);
      });
      const trusting = new Made({ ...bounds, ca });
      for (const host of ['localhost', '127.0.0.1']) {
        for (let n = 0; n < 2; n += 1) {
          const got = await whole(trusting, `https://${host}:${port}`);
          assert.deepEqual([got.calls, got.text], [['sent', 'head', 'end'], 'hello']);
        }
      }
      assert.equal(trusting.sockets, 2, 'one for each origin');
      await trusting.close();
      const wary = new Made(bounds);
      const refused = await whole(wary, `https://localhost:${port}`);
      assert.deepEqual(refused.calls, ['fail']);
      assert.equal(refused.error?.code, 'MILLRACE_UPSTREAM_REFUSED');
      assert.equal(requests, 4);
      await until(() => wary.sockets === 0, 'no socket is left');
    });

    test('pause stops the reading, and after resume every byte comes, in order', async (t) => {
      const total = 8 * 1024 * 1024;
      const block = Buffer.from(Array.from({ length: 65_536 }, (_, at) => 97 + (at % 26)));
      let written = 0;
      const { ca, port } = await serve(t, (_, response) => {
        const more = () => {
          while (written < total) {
            written += block.length;
            if (!response.write(block)) return response.once('drain', more);
          }
          return response.end();
        };
        more();
      });
      const on = new Made({ ...bounds, ca });
      let pausing = true;
      const { got, exchange } = open(on, `https://127.0.0.1:${port}`, () => {
        if (pausing) exchange.pause();
      });
      await until(() => got.text.length > 0, 'the first bytes');
      let held = -1;
      await until(() => {
        const same = held === written;
        held = written;
        return same;
      }, 'a writer that waits');
      assert.ok(got.text.length < 512 * 1024, `${got.text.length} bytes came while paused`);
      assert.ok(written < total, 'the peer is held back');
      pausing = false;
      exchange.resume();
      await until(() => got.calls.includes('end'), 'the end', 20_000);
      assert.equal(got.text.length, total);
      assert.ok(got.text === block.toString().repeat(total / block.length));
      await on.close();
    });

    test('a cancel in the handshake, before the head and in the body closes the socket at once', async (t) => {
      let requests = 0;
      let gone = 0;
      const { ca, port } = await serve(t, (request, response) => {
        response.on('close', () => void (gone += 1));
        if (++requests > 1) response.write('a');
        request.resume();
      });
      const on = new Made({ ...bounds, ca });
      const shaking = open(on, `https://127.0.0.1:${port}`);
      await Promise.resolve();
      assert.equal(on.sockets, 1);
      shaking.exchange.cancel();
      await until(() => on.sockets === 0, 'no socket');
      assert.equal(requests, 0);
      const waiting = open(on, `https://127.0.0.1:${port}`);
      await until(() => requests === 1, 'the request');
      waiting.exchange.cancel();
      await until(() => gone === 1, 'the close');
      const streaming = open(on, `https://127.0.0.1:${port}`);
      await until(() => streaming.got.text === 'a', 'a byte of the body');
      streaming.exchange.cancel();
      await until(() => gone === 2, 'the close');
      assert.deepEqual(
        [shaking.got.calls, waiting.got.calls, streaming.got.calls],
        [[], ['sent'], ['sent', 'head']],
      );
    });

    test('a body that ends early is a failure, after what came', async (t) => {
      const { ca, port } = await serve(t, (_, response) => {
        response.write('abc', () => setImmediate(() => response.socket?.destroy()));
      });
      const on = new Made({ ...bounds, ca });
      const got = await whole(on, `https://127.0.0.1:${port}`);
      assert.deepEqual([got.calls, got.text], [['sent', 'head', 'fail'], 'abc']);
      assert.equal(got.error?.code, 'MILLRACE_UPSTREAM_RESET');
      await until(() => on.sockets === 0, 'no socket is left');
    });
  });
}
