/** Goal: `npm start` serves, passes arguments on, and a signal to npm itself ends it with 0. Method: the real npm, free ports. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { open } from '../support/client.ts';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const START_MS_MAX = 60_000;

interface Line {
  readonly event?: string;
  readonly url?: string;
  readonly admin?: { readonly port: number };
}

interface Started {
  readonly npm: ChildProcess;
  readonly lines: Line[];
  readonly err: () => string;
  readonly exited: Promise<number | null>;
  listening(): Promise<Required<Line>>;
}

function npmStart(t: TestContext, ...args: string[]): Started {
  const npm = spawn('npm', ['start', '--silent', '--', ...args], {
    cwd: root,
    env: { ...process.env, MILLRACE_SERVER_PORT: '0', MILLRACE_ADMIN_PORT: '0' },
    // A group of its own, so that a failed test leaves nothing behind.
    detached: true,
  });
  const lines: Line[] = [];
  let out = '';
  let err = '';
  npm.stderr.on('data', (part) => (err += String(part)));
  npm.stdout.on('data', (part) => {
    const whole = (out + String(part)).split('\n');
    out = whole.pop() ?? '';
    lines.push(
      ...whole.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Line),
    );
  });
  let code: number | null | undefined;
  const exited = new Promise<number | null>((resolve) =>
    npm.on('close', (own) => resolve((code = own))),
  );
  t.after(() => {
    if (code === undefined && npm.pid !== undefined) process.kill(-npm.pid, 'SIGKILL');
  });
  const listening = async () => {
    const found = () => lines.find(({ event }) => event === 'listening');
    await until(() => found() ?? code !== undefined, 'npm start listens', START_MS_MAX);
    const line = found();
    assert.ok(line, `it ended with ${code}: ${err}`);
    return line as Required<Line>;
  };
  return { npm, lines, err: () => err, exited, listening };
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`npm start serves clients until ${signal} to npm, and ends with 0`, async (t) => {
    const started = npmStart(t);
    const { url, admin } = await started.listening();
    const client = await open(`${url}/ws`);
    client.send('hello');
    assert.equal((await client.next()).text, 'hello');
    const health = await fetch(`http://127.0.0.1:${admin.port}/healthz`);
    assert.equal(health.status, 200);
    const page = await fetch(url.replace('ws', 'http'));
    assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
    await until(() => started.err().includes(url.replace('ws', 'http')), 'the address for people');
    started.npm.kill(signal);
    assert.equal(await started.exited, 0, started.err());
    assert.equal((await client.closed).code, 1012);
  });
}

test('arguments after -- reach the gateway', async (t) => {
  const started = npmStart(t, '--port', 'x');
  assert.equal(await started.exited, 2);
  assert.match(started.err(), /server\.port must be an integer .* \(flag --port\)/);
});
