/**
 * Official SDKs and plain `ws` against the whole engine, on both backends. The programs under test/clients run as processes of
 * their own, with their own dependencies, and say what they saw; the expectations stand here.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { backendsHere } from '../support/backend/here.ts';
import { open, type TestClient } from '../support/client.ts';
import { until } from '../support/until.ts';

const root = new URL('../../../', import.meta.url);
const { clients } = (await import(new URL('scripts/clients.mjs', root).href)) as {
  clients(this: void): string[];
};
const folders = clients();

/** One step of a client program, as it told it. */
interface Step {
  readonly step: string;
  readonly type?: string;
  readonly text?: string;
  readonly texts?: string[];
  readonly code?: number;
  readonly reason?: string;
  readonly contiguous?: boolean;
  readonly deltas?: number;
  readonly output?: Record<string, unknown>[];
  readonly usage?: { output_tokens: number };
  readonly error?: { code: string; message: string };
}

function engineOn(backend: 'ws' | 'uws', port: number): Engine {
  const options: UserOptions = {
    server: { port, backend },
    admin: { enabled: false },
    log: { level: 'silent' },
    demo: { enabled: true, firstTokenMs: 20, tokensPerSecond: 500 },
  };
  return createEngine(options);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** A client program and what it said so far. */
class Program {
  readonly steps: Step[] = [];
  readonly #child: ChildProcess;
  readonly ended: Promise<unknown[]>;

  constructor(folder: string, baseUrl: string) {
    this.#child = spawn(process.execPath, [join(folder, 'client.mjs'), baseUrl], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.ended = once(this.#child, 'exit');
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => this.steps.push(JSON.parse(line) as Step));
  }

  step(name: string): Step | undefined {
    return this.steps.find(({ step }) => step === name);
  }

  go(): void {
    this.#child.stdin?.end('go\n');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** What an SDK must have seen, whatever its version. */
function judge(program: Program): void {
  const step = (name: string): Step => {
    const found = program.step(name);
    assert.ok(found, `the program never said ${name}: ${JSON.stringify(program.steps.at(-1))}`);
    return found;
  };
  const answer = step('answer');
  assert.equal(answer.type, 'response.completed');
  assert.equal(answer.text, 'größer 日本 🙂');
  assert.ok(answer.contiguous);
  assert.ok((answer.usage?.output_tokens ?? 0) > 0);
  assert.equal(step('continued').text, 'again');
  const cancelled = step('cancelled');
  assert.deepEqual([cancelled.type, cancelled.reason], ['response.incomplete', 'cancelled']);
  assert.ok((cancelled.deltas ?? 0) > 0);
  assert.equal(step('refused').error?.code, 'model_not_found');
  assert.deepEqual(
    [step('failover').type, step('failover').text],
    ['response.completed', 'unnoticed'],
  );
  const broken = step('broken');
  assert.equal(broken.type, 'response.failed');
  assert.ok((broken.text ?? '').length > 0 && broken.contiguous);
  const [call] = step('tool').output ?? [];
  assert.deepEqual([call?.['type'], call?.['name']], ['function_call', 'weather']);
  assert.equal(call?.['arguments'], '{"city":"Köln"}');
  assert.deepEqual(step('lanes').texts, ['lane a', 'lane b', 'lane c']);

  const drained = step('drained');
  assert.equal(drained.type, 'response.completed');
  assert.equal(drained.usage?.output_tokens, 60);
  assert.equal(step('reconnecting').code, 1012);
  const names = program.steps.map((one) => one.step);
  assert.ok(names.indexOf('drained') < names.indexOf('reconnecting'), 'the answer ends first');
  assert.equal(step('returned').text, 'after the restart');
  assert.equal(step('closed').code, 1000);
}

interface Event {
  readonly type: string;
  readonly delta?: string;
  readonly stream_id?: string;
  readonly response?: { id: string; incomplete_details?: { reason: string } };
}
const TERMINAL = /^(response\.(completed|failed|incomplete)|error)$/;

async function turn(client: TestClient, request: object): Promise<{ text: string; last: Event }> {
  client.send({ type: 'response.create', model: 'demo', ...request });
  const events = await client.collectJson<Event>(({ type }) => TERMINAL.test(type));
  const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
  return { text: deltas.map(({ delta }) => delta).join(''), last: events.at(-1) as Event };
}

/** The same conversation over plain `ws`, compression offered. */
async function plainTalk(url: string): Promise<TestClient> {
  const client = await open(url, { deflate: true });
  const first = await turn(client, { input: '@echo größer 日本 🙂' });
  assert.equal(first.text, 'größer 日本 🙂');
  const previous = first.last.response?.id;
  const second = await turn(client, { input: '@echo again', previous_response_id: previous });
  assert.equal(second.text, 'again');
  client.send({ type: 'response.create', model: 'demo', input: '@tokens 5000\n@fault rate=50' });
  await client.collectJson<Event>(({ delta }) => delta !== undefined);
  client.send({ type: 'response.cancel' });
  const rest = await client.collectJson<Event>(({ type }) => TERMINAL.test(type));
  assert.equal(rest.at(-1)?.response?.incomplete_details?.reason, 'cancelled');
  for (const lane of ['a', 'b'])
    client.send({
      type: 'response.create',
      model: 'demo',
      stream_id: lane,
      input: `@echo ${lane}`,
    });
  const ended = new Set<string | undefined>();
  await client.collectJson<Event>(({ type, stream_id }) => {
    if (TERMINAL.test(type)) ended.add(stream_id);
    return ended.size === 2;
  });
  assert.deepEqual(ended, new Set(['a', 'b']));
  return client;
}

for (const backend of backendsHere) {
  test(`SDKs and plain ws talk, cancel, use lanes and survive a drain over ${backend}`, async (t) => {
    // Named to both engines: the uws core lets only a port that was asked for be bound again while old connections fade.
    const port = await freePort();
    let engine = engineOn(backend, port);
    t.after(() => engine.close());
    const { url } = await engine.listen();
    const programs = folders.map(
      (folder) => new Program(folder, `${url.replace('ws:', 'http:')}/v1`),
    );
    t.after(() => programs.forEach((program) => program.kill()));
    const plain = await plainTalk(`${url}/v1/responses`);
    await until(() => programs.every((program) => program.step('ready')), 'both SDKs', 30_000);

    for (const program of programs) program.go();
    const last = turn(plain, { input: '@tokens 60\n@fault rate=40' });
    await until(() => programs.every((program) => program.step('streaming')), 'both to stream');
    await engine.close({ drain: true });
    assert.equal((await last).last.type, 'response.completed');
    assert.equal((await plain.closed).code, 1012);

    engine = engineOn(backend, port);
    await engine.listen();
    for (const program of programs) {
      const [code] = await program.ended;
      assert.equal(code, 0);
      judge(program);
    }
  });
}
