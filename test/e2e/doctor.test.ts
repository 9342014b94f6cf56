/** Goal: doctor tells the truth about this very machine and a running gateway. Method: the real program beside the real gateway. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGateway } from '../support/gateway-process.ts';
import { millrace } from '../support/program.ts';

interface Told {
  readonly ok: boolean;
  readonly checks: { readonly name: string; readonly status: string; readonly text: string }[];
}

const free = ['--port', '0', '--admin-port', '0'];

test('here the tests run, so nothing fails; the JSON says the same as the text', async () => {
  const [text, json] = await Promise.all([
    millrace(['doctor', ...free]),
    millrace(['doctor', ...free, '--json']),
  ]);
  assert.equal(text.code, 0, text.out);
  const { ok, checks } = JSON.parse(json.out) as Told;
  assert.equal(ok, true);
  assert.ok(
    checks.some(
      ({ name, text: found }) => name === 'node' && found.includes(process.versions.node),
    ),
  );
  for (const { name, status } of checks) {
    assert.ok(
      text.out.split('\n').some((line) => line.startsWith(status) && line.includes(name)),
      name,
    );
  }
});

test('a configuration that is wrong fails, with its lines, and the rest is looked at all the same', async () => {
  const { code, out } = await millrace(['doctor', ...free, '--json'], {
    MILLRACE_SERVER_PROT: '1',
    MILLRACE_LOG_LEVEL: 'loud',
  });
  assert.equal(code, 1);
  const { ok, checks } = JSON.parse(out) as Told;
  assert.equal(ok, false);
  const [configuration] = checks;
  assert.equal(configuration.status, 'fail');
  assert.equal(configuration.text.split('\n').length, 2);
  assert.ok(checks.length > 10);
});

test('a running gateway is ready, its ports are taken; once it drains or is gone it is not', async () => {
  const gateway = await startGateway({
    server: { port: 0, backend: 'ws' },
    admin: { port: 0 },
    demo: { enabled: true },
    threads: { workers: 1 },
  });
  const ready = () => millrace(['doctor', '--ready', '--url', gateway.admin]);
  try {
    const { code, out, err } = await ready();
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^ready: /);
    const { port } = new URL(gateway.url);
    const taken = await millrace(['doctor', '--port', port, '--admin-port', '0']);
    assert.equal(taken.code, 1);
    assert.match(taken.out, new RegExp(`^fail server\\.port +127\\.0\\.0\\.1:${port}: taken`, 'm'));
  } finally {
    assert.equal(await gateway.end(), 0);
  }
  const { code, out, err } = await ready();
  assert.deepEqual([code, out], [1, '']);
  assert.match(err, /does not answer: nobody listens there\n$/);
});
