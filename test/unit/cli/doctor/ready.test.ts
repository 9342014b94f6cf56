/** Goal: doctor --ready says yes only for a 200 of the right address. Method: small servers, made-up options. */
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { after, test } from 'node:test';
import { askReady, readyUrl } from '../../../../src/cli/doctor/ready.ts';
import { resolveOptions } from '../../../../src/options/resolve.ts';
import type { UserOptions } from '../../../../src/options/schema.ts';

async function serving(listener: RequestListener): Promise<URL> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as { port: number }).port}/readyz`);
}

test('200 is ready; everything else is not, with what was answered', async () => {
  const answer = async (status: number, body: string) =>
    askReady(await serving((_, response) => response.writeHead(status).end(body)));
  assert.deepEqual(await answer(200, 'ready\n'), { ready: true, text: 'ready: ready' });
  assert.deepEqual(await answer(503, 'draining'), {
    ready: false,
    text: 'not ready (503): draining',
  });
  assert.equal((await answer(204, '')).ready, false);
  assert.equal((await answer(404, 'x'.repeat(10_000))).text.length, 217);
});

test('a redirect, a broken answer and nobody at all are not ready', async () => {
  const away = await serving((_, response) => response.writeHead(302, { location: '/' }).end());
  assert.equal((await askReady(away)).ready, false);
  const broken = await serving((request) => request.socket.destroy());
  assert.equal((await askReady(broken)).ready, false);
  const gone = await askReady(new URL('http://127.0.0.1:9/readyz'));
  assert.equal(gone.ready, false);
  assert.match(gone.text, /^http:\/\/127\.0\.0\.1:9\/readyz does not answer: /);
});

test('a server that is silent is given up after its time', async () => {
  const silent = await serving(() => {});
  const { ready, text } = await askReady(silent);
  assert.deepEqual(
    [ready, text.endsWith('does not answer: nothing within 3000 ms')],
    [false, true],
  );
});

test('the address follows from the options, or from --url', async () => {
  const of = async (admin: UserOptions['admin'], url?: string) => {
    const options = () => resolveOptions({ code: { admin } }).options;
    return readyUrl(url, options).then(String, (error: Error) => error.message);
  };
  assert.equal(await of({}), 'http://127.0.0.1:9090/readyz');
  assert.equal(await of({ host: '0.0.0.0', port: 1 }), 'http://127.0.0.1:1/readyz');
  assert.equal(await of({ host: '::', port: 1 }), 'http://[::1]:1/readyz');
  assert.equal(await of({ host: '[::1]' }), 'http://[::1]:9090/readyz');
  assert.match(await of({ enabled: false }), /admin\.enabled is false/);
  assert.match(await of({ port: 0 }), /say which with --url/);
  assert.equal(await of({ port: 0 }, 'http://h:1'), 'http://h:1/readyz');
  assert.equal(await of({}, 'https://h/sub/ready'), 'https://h/sub/ready');
  for (const bad of ['h:1', 'ftp://h', '']) assert.match(await of({}, bad), /--url must be a URL/);
});
