/** HTTPS upstreams over loopback, with a certificate made for this run (needs the openssl command). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { MillraceError } from '../../../../src/errors.ts';
import { HttpTransport } from '../../../../src/worker/connect/http.ts';
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

async function exchange(on: HttpTransport, origin: string) {
  const got = { calls: [] as string[], text: '', error: undefined as MillraceError | undefined };
  const request = { method: 'POST' as const, path: '/', headers: {}, body: 'hello' };
  on.open({ name: 'one', origin }, request, {
    sent: () => void got.calls.push('sent'),
    head: () => void got.calls.push('head'),
    data: (bytes) => void (got.text += Buffer.from(bytes).toString()),
    end: () => void got.calls.push('end'),
    fail: (error) => {
      got.error = error;
      got.calls.push('fail');
    },
  });
  await until(() => got.calls.includes('end') || got.error, 'the end');
  return got;
}

test('a trusted upstream is spoken to, its socket used again; an untrusted one is refused before a byte is sent', {
  skip,
}, async (t) => {
  const [key, cert] = [readFileSync(file('key.pem')), readFileSync(file('cert.pem'))];
  let requests = 0;
  const server = https.createServer({ key, cert }, (request, response) => {
    requests += 1;
    request.pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const bounds = { idleSocketsMax: 2, idleMs: 5000 };
  const trusting = new HttpTransport({ ...bounds, ca: cert.toString() });
  for (const host of ['localhost', '127.0.0.1']) {
    for (let n = 0; n < 2; n += 1) {
      const got = await exchange(trusting, `https://${host}:${port}`);
      assert.deepEqual([got.calls, got.text], [['sent', 'head', 'end'], 'hello']);
    }
  }
  assert.equal(trusting.sockets, 2, 'one for each origin');
  await trusting.close();
  const wary = new HttpTransport(bounds);
  const refused = await exchange(wary, `https://localhost:${port}`);
  assert.deepEqual(refused.calls, ['fail']);
  assert.equal(refused.error?.code, 'MILLRACE_UPSTREAM_REFUSED');
  assert.equal(requests, 4);
  await until(() => wary.sockets === 0, 'no socket is left');
});
