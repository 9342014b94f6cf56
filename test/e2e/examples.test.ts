/** Goal: the examples do what they say. Method: each runs as a program of its own, as its reader would run it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { open } from '../support/client.ts';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const START_MS = 20_000;

interface Ran {
  readonly child: ChildProcess;
  out(): string;
  readonly exited: Promise<number | null>;
}

function run(t: TestContext, name: string, ...args: string[]): Ran {
  const child = spawn(process.execPath, [join(root, 'examples', `${name}.mjs`), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PORT: '0' },
  });
  let out = '';
  child.stdout.on('data', (part) => (out += String(part)));
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  t.after(() => child.kill('SIGKILL'));
  return { child, out: () => out, exited };
}

async function urlOf(ran: Ran): Promise<string> {
  await until(() => /^\w+:\/\/\S+\n/.test(ran.out()), 'the address', START_MS);
  return ran.out().trim();
}

test('echo-server answers text with a prefix and bytes as they are, and ends after SIGTERM', async (t) => {
  const ran = run(t, 'echo-server');
  const client = await open(await urlOf(ran));
  client.send('hello');
  client.send(Uint8Array.of(0, 1));
  assert.equal((await client.next()).text, 'Echo: hello');
  assert.deepEqual([...(await client.next()).bytes], [0, 1]);
  ran.child.kill('SIGTERM');
  assert.equal((await client.closed).code, 1012);
  assert.equal(await ran.exited, 0);
  assert.match(ran.out(), /left with 1012 after 2 messages/);
});

test('embed serves WebSockets and counters beside the pages of the application', async (t) => {
  const ran = run(t, 'embed');
  const url = await urlOf(ran);
  const text = async (path: string) => (await fetch(`${url}${path}`)).text();
  assert.equal(await text('/'), 'the application\n');
  assert.match(await text('/v1/models'), /"demo"/);
  const client = await open(`${url.replace('http', 'ws')}/chat`);
  client.send({ message: 'Hello!' });
  assert.equal((await client.nextJson()).done, false);
  assert.match(await text('/metrics'), /^websocket_connections_total 1$/m);
  ran.child.kill('SIGTERM');
  assert.equal(await ran.exited, 0);
});

test('llm-chat prints an answer and ends', async (t) => {
  const ran = run(t, 'llm-chat', 'Say hello.');
  assert.equal(await ran.exited, 0);
  assert.match(ran.out(), /simulated/i);
});

test('load-balanced gets every answer though one upstream fails', async (t) => {
  const ran = run(t, 'load-balanced');
  assert.equal(await ran.exited, 0);
  assert.equal(ran.out().match(/north is ill: .*south/g)?.length, 4);
  assert.match(ran.out(), /both are well/);
});
