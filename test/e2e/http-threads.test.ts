/** What becomes of HTTP answers when a worker dies under them, and when the engine drains. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEngine } from '../../src/engine/engine.ts';
import { type EngineProcess, startEngineProcess } from '../support/engine-process.ts';
import { chunksOf, contentOf, post, read } from '../support/posted.ts';
import { assertWhole, type Event, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

const asked = (content: string) => ({ model: 'demo', messages: [{ role: 'user', content }] });

describe('HTTP answers of workers that die', () => {
  let engine: EngineProcess;
  let base: string;
  before(async () => {
    engine = await startEngineProcess({
      server: { port: 0 },
      admin: { port: 0 },
      demo: { enabled: true, firstTokenMs: 20, tokensPerSecond: 100 },
      threads: { workers: 2, heartbeatMs: 20, hungAfterMs: 400 },
      stream: { keepAliveMs: 100 },
    });
    base = `${engine.url.replace('ws:', 'http:')}/v1`;
  });
  after(async () => {
    assert.equal(await engine.close(), 0);
  });

  test('without a first content they run again: one whole answer, comments or not', async () => {
    const text = 'nothing was lost '.repeat(3).trim();
    const prompt = `@echo ${text}\n@fault first-token-ms=700`;
    const answers = [0, 1, 2, 3].map((at) =>
      at < 2
        ? post(`${base}/responses`, { model: 'demo', input: prompt, stream: true })
        : post(`${base}/chat/completions`, { ...asked(prompt), stream: at === 2 }),
    );
    // The heads of the streams, and a comment or two, are out by now: what runs again goes on behind them.
    await Promise.all(answers.slice(0, 3));
    const lostBefore = engine.facts('worker-lost').length;
    await engine.strike('worker', 'exit');
    const got = await Promise.all(answers.map(async (answer) => read(await answer)));
    for (const one of got.slice(0, 2)) {
      const events = one.events.map(({ data }) => JSON.parse(data) as Event);
      assert.equal(assertWhole(events).type, 'response.completed');
      assert.equal(textOf(events), text);
    }
    const { chunks, done } = chunksOf(got[2]);
    assert.ok(done);
    assert.equal(chunks.filter(({ choices }) => choices[0]?.delta.role).length, 1);
    assert.equal(contentOf(chunks), text);
    assert.match(got[3].text, new RegExp(`"content":"${text}"`));
    const lost = engine.facts('worker-lost')[lostBefore];
    assert.deepEqual([lost.fields.rerun, lost.fields.failed], [2, 0]);
  });

  test('after it they end in one typed failure; an object runs again even then', async () => {
    const prompt = '@tokens 60\n@fault rate=20';
    const streams = await Promise.all(
      [0, 1, 2, 3].map((at) =>
        at < 2
          ? post(`${base}/responses`, { model: 'demo', input: prompt, stream: true })
          : post(`${base}/chat/completions`, { ...asked(prompt), stream: true }),
      ),
    );
    const whole = post(`${base}/chat/completions`, asked(prompt));
    const again = post(`${base}/chat/completions`, asked(prompt));
    await until(
      async () => (await (await fetch(`${engine.admin}/metrics`)).text()).includes('running 6'),
      'all to run',
    );
    await engine.strike('worker', 'throw');
    const got = await Promise.all(streams.map((stream) => read(stream)));
    let failed = 0;
    for (const one of got.slice(0, 2)) {
      const events = one.events.map(({ data }) => JSON.parse(data) as Event);
      const end = assertWhole(events);
      if (end.type === 'response.completed') continue;
      failed++;
      assert.equal(end.response?.error?.code, 'worker_lost');
    }
    for (const one of got.slice(2)) {
      const { chunks, done } = chunksOf(one);
      if (done) continue;
      failed++;
      assert.equal(chunks.at(-1)?.error?.code, 'worker_lost');
    }
    assert.equal(failed, 2, 'the two streams of that worker');
    for (const answer of [whole, again]) assert.equal((await answer).status, 200);
    const ended = await (await fetch(`${engine.admin}/status.json`)).json();
    assert.deepEqual((ended as { requests: object }).requests, { open: 0, retainedBytes: 0 });
  });
});

test('a drain lets the running answer end, refuses new ones with 503, and closes', async () => {
  const engine = createEngine({
    server: { port: 0 },
    admin: { enabled: false },
    log: { level: 'silent' },
    demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 100 },
  });
  const { url } = await engine.listen();
  const completions = `${url.replace('ws:', 'http:')}/v1/chat/completions`;
  const kept = await post(completions, asked('@echo keeps a connection'));
  await kept.text();
  const running = await post(completions, {
    ...asked('@tokens 60\n@fault rate=60'),
    stream: true,
    stream_options: { include_usage: true },
  });
  const closed = engine.close({ drain: true });
  const late = await post(completions, asked('@echo late')).catch(() => undefined);
  assert.ok(late === undefined || late.status === 503, 'nobody new gets in');
  if (late) assert.equal(late.headers.get('retry-after'), '1');
  const { chunks, done } = chunksOf(await read(running));
  assert.ok(done);
  assert.equal(chunks.at(-1)?.usage?.['completion_tokens'], 60);
  await closed;
});
