/** Goal: what the gateway's process does with signals while answers run. Method: the real program, the simulated upstream, free ports. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { open, RefusedError, type TestClient } from '../support/client.ts';
import { until } from '../support/until.ts';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

interface Gateway {
  readonly child: ChildProcess;
  readonly url: string;
  readonly admin: string;
  readonly exited: Promise<number | null>;
}

async function gateway(t: TestContext, ...flags: string[]): Promise<Gateway> {
  const common = [
    '--demo',
    '--page',
    'false',
    '--port',
    '0',
    '--admin-port',
    '0',
    '--workers',
    '1',
  ];
  const child = spawn(process.execPath, [program, 'serve', ...common, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let out = '';
  child.stdout.on('data', (part) => (out += String(part)));
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const listening = () => out.split('\n').find((line) => line.includes('"event":"listening"'));
  await until(listening, 'the gateway listens', 30_000);
  const line = JSON.parse(listening() ?? '') as { url: string; admin: { port: number } };
  return { child, url: line.url, admin: `http://127.0.0.1:${line.admin.port}`, exited };
}

/** A client whose answer has begun and will take a while. */
async function answering(url: string): Promise<TestClient> {
  const client = await open(`${url}/chat`);
  client.send({ message: 'Tell me about rivers.' });
  await client.next(20_000);
  return client;
}

test('SIGTERM: the running answer ends whole, nobody new gets in, then 1012 and exit code 0', async (t) => {
  const { child, url, admin, exited } = await gateway(t, '--demo-tokens-per-second', '60');
  const client = await answering(url);
  child.kill('SIGTERM');
  await until(async () => (await fetch(`${admin}/readyz`)).status === 503, 'not ready');
  await assert.rejects(
    open(`${url}/chat`),
    (error) => !(error instanceof RefusedError) || error.status === 503,
  );
  const frames = await client.collectJson<{ done: boolean; error?: unknown }>(
    (m) => m.done,
    30_000,
  );
  assert.equal(frames.at(-1)?.error, undefined);
  assert.equal((await client.closed).code, 1012);
  assert.equal(await exited, 0);
});

test('an answer longer than the shutdown timeout ends in one failure, never called complete, and the exit code is still 0', async (t) => {
  const slow = ['--demo-tokens-per-second', '1', '--server-shutdown-timeout-ms', '200'];
  const { child, url, exited } = await gateway(t, ...slow);
  const client = await answering(url);
  child.kill('SIGTERM');
  const frames = await client.collectJson<{ done: boolean; error?: { code: string } }>(
    (m) => m.done,
    30_000,
  );
  assert.equal(frames.at(-1)?.error?.code, 'MILLRACE_DRAINING');
  assert.equal((await client.closed).code, 1012);
  assert.deepEqual(client.waiting, []);
  assert.equal(await exited, 0);
});

test('a second signal ends at once with exit code 1', async (t) => {
  const { child, url, exited } = await gateway(t, '--demo-tokens-per-second', '1');
  const client = await answering(url);
  child.kill('SIGTERM');
  child.kill('SIGINT');
  assert.equal(await exited, 1);
  assert.equal((await client.closed).code, 1006);
});

test('SIGHUP changes nothing', async (t) => {
  const { child, url, exited } = await gateway(t);
  child.kill('SIGHUP');
  const client = await open(`${url}/ws`);
  client.send('still here');
  assert.equal((await client.next()).text, 'still here');
  child.kill('SIGTERM');
  assert.equal(await exited, 0);
});
