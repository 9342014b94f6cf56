/** What becomes of streams when a thread under them dies: nothing lost in silence, nothing doubled, and the engine whole again. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { open } from '../support/client.ts';
import { type EngineProcess, startEngineProcess } from '../support/engine-process.ts';
import type { ThreadFault } from '../support/fault-preload.ts';
import { answer, ask, assertWhole, type Event, isDelta, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

const HUNG_AFTER_MS = 400;
describe('an engine whose threads die', () => {
  let engine: EngineProcess;
  before(async () => {
    engine = await startEngineProcess({
      server: { port: 0 },
      admin: { port: 0 },
      demo: { enabled: true, firstTokenMs: 20, tokensPerSecond: 100 },
      threads: { workers: 2, heartbeatMs: 20, hungAfterMs: HUNG_AFTER_MS },
      balance: { healthCheckIntervalMs: 200 },
    });
  });
  after(async () => {
    assert.equal(await engine.close(), 0, 'it drains and exits 0 after all this');
  });

  const connect = () => open(`${engine.url}/v1/responses`);

  for (const fault of ['exit', 'throw', 'reject', 'hang'] as ThreadFault[]) {
    test(`a worker that dies by ${fault}: committed streams end in one failure, the others go on untouched`, async (t) => {
      const clients = await Promise.all([connect(), connect(), connect(), connect()]);
      for (const client of clients) ask(client, '@tokens 60\n@fault rate=60');
      const firsts = await Promise.all(
        clients.map((client) => client.collectJson<Event>(isDelta, 10_000)),
      );
      const lostBefore = engine.facts('worker-lost').length;
      const readyBefore = engine.facts('worker-ready').length;
      const struckMs = await engine.strike('worker', fault);
      const rests = await Promise.all(clients.map((client) => answer(client)));
      const all = firsts.map((first, at) => [...first, ...rests[at]]);
      for (const events of all) assertWhole(events);
      const ends = all.map((events) => events[events.length - 1]);
      const failed = ends.filter((end) => end.type === 'response.failed');
      assert.equal(failed.length, 2, 'the two streams of that worker');
      for (const end of failed) assert.equal(end.response?.error?.code, 'worker_lost');
      assert.equal(ends.filter((end) => end.type === 'response.completed').length, 2);
      await until(() => engine.facts('worker-ready').length > readyBefore, 'a new worker');
      const lost = engine.facts('worker-lost')[lostBefore];
      assert.equal(lost.fields.failed, 2);
      const noticedMs = lost.atMs - struckMs;
      const replacedMs = engine.facts('worker-ready')[readyBefore].atMs - lost.atMs;
      t.diagnostic(
        `${fault}: noticed after ${noticedMs.toFixed()} ms, replaced after ${replacedMs.toFixed()} ms`,
      );
      // The next turn on the same sockets works.
      for (const client of clients) ask(client, '@echo still here');
      const next = await Promise.all(clients.map((client) => answer(client)));
      for (const events of next) assert.equal(textOf(events), 'still here');
      await Promise.all(clients.map((client) => client.close()));
    });
  }

  test('requests without a first delta run again on the next worker: the client sees one whole answer', async () => {
    const clients = await Promise.all([connect(), connect(), connect(), connect()]);
    const text = 'nothing was lost on the way '.repeat(3).trim();
    for (const client of clients) ask(client, `@echo ${text}\n@fault first-token-ms=600`);
    const openers = await Promise.all(
      clients.map((client) =>
        client.collectJson<Event>((event) => event.type === 'response.in_progress', 10_000),
      ),
    );
    const lostBefore = engine.facts('worker-lost').length;
    await engine.strike('worker', 'exit');
    const rests = await Promise.all(clients.map((client) => answer(client)));
    for (const [at, rest] of rests.entries()) {
      const events = [...openers[at], ...rest];
      assertWhole(events);
      assert.equal(events.filter((event) => event.type === 'response.created').length, 1);
      assert.equal(events[events.length - 1].type, 'response.completed');
      assert.equal(textOf(events), text);
      assert.equal(events[0].response?.id, events[events.length - 1].response?.id);
    }
    const lost = engine.facts('worker-lost')[lostBefore];
    assert.deepEqual([lost.fields.rerun, lost.fields.failed], [2, 0]);
    await Promise.all(clients.map((client) => client.close()));
  });

  for (const fault of ['exit', 'throw', 'hang'] as ThreadFault[]) {
    test(`a coordinator that dies by ${fault} is replaced while streams go on`, async () => {
      const client = await connect();
      ask(client, '@tokens 80\n@fault rate=80');
      const first = await client.collectJson<Event>(isDelta, 10_000);
      const readyBefore = engine.facts('coordinator-ready').length;
      await engine.strike('coordinator', fault);
      const rest = await answer(client);
      assertWhole([...first, ...rest]);
      assert.equal(rest[rest.length - 1].type, 'response.completed');
      await until(
        () => engine.facts('coordinator-ready').length > readyBefore,
        'the next coordinator',
      );
      ask(client, '@echo after');
      assert.equal(textOf(await answer(client)), 'after');
      await client.close();
    });
  }

  test('after all this no stream is counted as running, and counters never went back', async () => {
    const status = (await (await fetch(`${engine.admin}/status.json`)).json()) as {
      requests: { open: number; retainedBytes: number };
      upstreams: { inFlight: number }[];
      workers: { serving: boolean }[];
    };
    assert.deepEqual(status.requests, { open: 0, retainedBytes: 0 });
    assert.deepEqual(
      status.upstreams.map((each) => each.inFlight),
      [0, 0],
    );
    assert.ok(status.workers.every((worker) => worker.serving));
    const metrics = await (await fetch(`${engine.admin}/metrics`)).text();
    const value = (name: string) =>
      Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'm').exec(metrics)?.[1]);
    assert.equal(value('millrace_workers_lost_total'), 5);
    assert.equal(value('millrace_reruns_total'), 2);
    assert.equal(value('millrace_streams_running'), 0);
    assert.ok(value('websocket_messages_sent_total') > 500);
  });
});
