/**
 * The HTTP APIs through the whole engine, on both backends: what an answer is, what a failure is before and after its first byte, who may ask, and
 * that a client that leaves or reads slowly is felt by its upstream.
 */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { backendsHere } from '../support/backend/here.ts';
import {
  deltaText,
  type GushingUpstream,
  startGushingUpstream,
} from '../support/gushing-upstream.ts';
import {
  type Chunk,
  chunksOf,
  contentOf,
  type Posted,
  post,
  posted,
  read,
} from '../support/posted.ts';
import { assertWhole, type Event, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

const TEXT = 'the wheel turns: "größe" 水車 🌊 \\\\ end';
const PLAIN = JSON.parse(`"${TEXT.replaceAll('"', '\\"')}"`) as string;
const DELTAS = 230;
const DELTA_BYTES = 60_000;

const eventsOf = ({ events }: Posted): Event[] => {
  for (const event of events)
    assert.equal((JSON.parse(event.data) as Event).type, event.event, 'the name is the type');
  return events.map(({ data }) => JSON.parse(data) as Event);
};
const asked = (content: string) => ({ model: 'demo', messages: [{ role: 'user', content }] });

for (const backend of backendsHere) {
  describe(`answers over HTTP, by ${backend}`, () => {
    let engine: Engine;
    let gushing: GushingUpstream;
    let origin: string;
    let responses: string;
    let completions: string;
    let admin: string;
    before(async () => {
      gushing = await startGushingUpstream(DELTAS, DELTA_BYTES);
      const options: UserOptions = {
        server: { port: 0, backend, allowedOrigins: ['https://app.example'] },
        admin: { port: 0 },
        log: { level: 'silent' },
        session: { creditBytes: 64 * 1024 },
        upstreams: [{ name: 'gush', url: gushing.url, models: ['gush'] }],
        demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 2_000 },
        stream: {
          firstDeltaTimeoutMs: 4_000,
          headersTimeoutMs: 4_000,
          gapTimeoutMs: 4_000,
          retryDelayMs: 5,
          deadlineMs: 6_000,
          keepAliveMs: 500,
        },
      };
      engine = createEngine(options);
      const address = await engine.listen();
      origin = address.url.replace('ws:', 'http:');
      responses = `${origin}/v1/responses`;
      completions = `${origin}/v1/chat/completions`;
      admin = `http://127.0.0.1:${address.admin?.port}`;
    });
    after(async () => {
      await engine.close();
      await gushing.close();
    });

    const metric = async (name: string) => {
      const text = await (await fetch(`${admin}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    };

    test('a response streams as the events of the WebSocket mode', async () => {
      const got = await posted(responses, { model: 'demo', input: `@echo ${TEXT}`, stream: true });
      assert.equal(got.status, 200);
      const events = eventsOf(got);
      const end = assertWhole(events);
      assert.equal(end.type, 'response.completed');
      assert.equal(textOf(events), PLAIN);
      assert.deepEqual(
        events.slice(0, 3).map(({ type }) => type),
        ['response.created', 'response.in_progress', 'response.output_item.added'],
      );
      assert.equal(got.headers.get('x-request-id'), end.response?.id);
      assert.equal(got.headers.get('cache-control'), 'no-cache');
    });

    test('a response comes whole without `stream`', async () => {
      const got = await posted(responses, { model: 'demo', input: `@echo ${TEXT}` });
      assert.equal(got.status, 200);
      assert.equal(got.headers.get('content-type'), 'application/json');
      const { object, status, store, output } = got.json as Record<string, never>;
      assert.deepEqual([object, status, store], ['response', 'completed', false]);
      const [message] = output as { content: { text: string }[] }[];
      assert.equal(message.content[0].text, PLAIN);
    });

    test('a completion streams: role, content, reason, usage, [DONE]', async () => {
      const got = await posted(completions, {
        ...asked(`@echo ${TEXT}`),
        stream: true,
        stream_options: { include_usage: true },
      });
      const { chunks, done } = chunksOf(got);
      assert.ok(done);
      assert.equal(chunks[0].choices[0].delta.role, 'assistant');
      assert.equal(contentOf(chunks), PLAIN);
      assert.equal(chunks.at(-2)?.choices[0].finish_reason, 'stop');
      assert.deepEqual(chunks.at(-1)?.choices, []);
      assert.ok(Number(chunks.at(-1)?.usage?.['completion_tokens']) > 0);
      assert.ok(chunks.slice(0, -1).every(({ usage }) => usage === null));
      const bare = chunksOf(await posted(completions, { ...asked('@echo x'), stream: true }));
      assert.ok(bare.done && bare.chunks.every((chunk) => !('usage' in chunk)));
    });

    test('a completion comes whole without `stream`, with calls where there are some', async () => {
      const got = await posted(completions, asked(`@echo ${TEXT}`));
      type Choice = { message: Record<string, unknown>; finish_reason: string };
      const [choice] = got.json['choices'] as Choice[];
      assert.deepEqual([choice.message['content'], choice.finish_reason], [PLAIN, 'stop']);
      const called = await posted(completions, {
        ...asked('@tool weather {"city":"Köln"}'),
        tools: [
          { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } },
        ],
      });
      const [{ message, finish_reason }] = called.json['choices'] as Choice[];
      assert.equal(finish_reason, 'tool_calls');
      assert.equal(message['content'], null);
      const [call] = message['tool_calls'] as { function: { name: string; arguments: string } }[];
      assert.deepEqual(call.function, { name: 'weather', arguments: '{"city":"Köln"}' });
    });

    for (const stream of [true, false]) {
      test(`before the first content another upstream answers unseen (stream: ${stream})`, async () => {
        for (let turn = 0; turn < 2; turn++) {
          const prompt = `@echo ${TEXT}\n@fault only=simulated-a reset-after=0`;
          const got = await posted(responses, { model: 'demo', input: prompt, stream });
          assert.equal(got.status, 200);
          if (stream) assert.equal(textOf(eventsOf(got)), PLAIN);
          else assert.match(got.text, /"status":"completed".*"upstream":"simulated-b"/);
        }
      });

      test(`a failure before the first content is a status (stream: ${stream})`, async () => {
        for (const [fault, status, code] of [
          ['status=500', 502, 'upstream_status'],
          ['status=400', 400, 'upstream_rejected'],
        ] as const)
          for (const [url, body] of [
            [responses, { model: 'demo', input: `@fault ${fault}` }],
            [completions, asked(`@fault ${fault}`)],
          ] as const) {
            const got = await posted(url, { ...body, stream });
            const { error } = got.json as { error: { code: string } };
            assert.deepEqual([got.status, error.code], [status, code]);
          }
      });
    }

    test('a failure after the first content is an event, never a silent end', async () => {
      const prompt = `@echo ${TEXT}\n@fault cut-after=3`;
      const streamed = await posted(responses, { model: 'demo', input: prompt, stream: true });
      const events = eventsOf(streamed);
      const end = assertWhole(events);
      assert.equal(end.type, 'response.failed');
      assert.equal(end.response?.error?.code, 'upstream_reset');
      assert.ok(textOf(events).length > 0 && PLAIN.startsWith(textOf(events)));
      const { chunks, done } = chunksOf(
        await posted(completions, { ...asked(prompt), stream: true }),
      );
      assert.equal(done, false, 'no [DONE] after a failure');
      assert.equal(chunks.at(-1)?.error?.code, 'upstream_reset');
      const text = chunks
        .slice(0, -1)
        .map(({ choices }) => choices[0].delta.content)
        .join('');
      assert.ok(text.length > 0 && PLAIN.startsWith(text));
      for (const [url, body] of [
        [responses, { model: 'demo', input: prompt }],
        [completions, asked(prompt)],
      ] as const)
        assert.equal((await posted(url, body)).status, 502);
    });

    test('a long silence is filled with comments, and the status comes first', async () => {
      const prompt = '@echo patience\n@fault stall-first=1500';
      for (const [url, body] of [
        [responses, { model: 'demo', input: prompt, stream: true }],
        [completions, { ...asked(prompt), stream: true }],
      ] as const) {
        const began = performance.now();
        const answer = await post(url, body);
        assert.ok(performance.now() - began < 1_450, 'the head came before the first content');
        const got = await read(answer);
        assert.ok(got.comments.length >= 1, got.text);
        if (url === responses) assert.equal(textOf(eventsOf(got)), 'patience');
        else assert.equal(contentOf(chunksOf(got).chunks), 'patience');
      }
    });

    test('bad requests get one status and one sentence', async () => {
      const hello = asked('hello');
      const create = { model: 'demo', input: 'hello' };
      const cases: readonly (readonly [string, unknown, number, string, string | null])[] = [
        [responses, '{', 400, 'invalid_json', null],
        [completions, '[]', 400, 'invalid_value', null],
        [responses, { input: 'x' }, 400, 'invalid_value', 'model'],
        [responses, { ...create, model: 'nope' }, 404, 'model_not_found', 'model'],
        [completions, { ...hello, model: 'nope' }, 404, 'model_not_found', 'model'],
        [responses, { ...create, background: true }, 400, 'unsupported_parameter', 'background'],
        [
          responses,
          { ...create, previous_response_id: 'resp_x' },
          400,
          'unsupported_parameter',
          'previous_response_id',
        ],
        [completions, { ...hello, n: 2 }, 400, 'unsupported_parameter', 'n'],
        [completions, { model: 'demo' }, 400, 'invalid_value', 'messages'],
        [completions, { ...hello, stream: 'yes' }, 400, 'invalid_value', 'stream'],
      ];
      for (const [url, body, status, code, param] of cases) {
        const got = await posted(url, body);
        const { error } = got.json as { error: { code: string; param: string | null } };
        const told = [got.status, error.code, error.param];
        assert.deepEqual(told, [status, code, param], JSON.stringify(body));
      }
      const large = 'x'.repeat(16 * 1024 * 1024 + 1);
      assert.equal((await posted(responses, large)).status, 413);
      const plain = await posted(responses, create, { 'content-type': 'text/plain' });
      assert.equal(plain.status, 415);
      const zipped = await posted(responses, create, { 'content-encoding': 'gzip' });
      assert.equal(zipped.status, 415);
      for (const [method, path, status] of [
        ['GET', '/v1/responses', 426],
        ['PUT', '/v1/responses', 405],
        ['GET', '/v1/chat/completions', 405],
        ['DELETE', '/v1/chat/completions', 405],
        ['GET', '/v1/models/demo', 200],
        ['GET', '/v1/models/nope', 404],
      ] as const)
        assert.equal((await fetch(origin + path, { method })).status, status, `${method} ${path}`);
      assert.equal((await fetch(origin, { method: 'POST' })).status, 404);
    });

    test('who has no key, or a wrong one, gets 401 and learns nothing else; a key opens what it may', async (t) => {
      const guarded = createEngine({
        server: { port: 0, backend },
        admin: { enabled: false },
        log: { level: 'silent' },
        keys: [{ name: 'small', key: 'right-key', models: ['demo'] }],
        demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 2_000 },
      });
      t.after(() => guarded.close());
      const base = (await guarded.listen()).url.replace('ws:', 'http:');
      const bodies = {
        responses: { model: 'demo', input: '@echo in' },
        'chat/completions': asked('@echo in'),
      };
      for (const [path, body] of Object.entries(bodies)) {
        const url = `${base}/v1/${path}`;
        for (const authorization of [
          undefined,
          'Bearer wrong-key',
          'Basic cmlnaHQta2V5',
          'Bearer ',
        ])
          for (const sent of [body, 'x'.repeat(1_000), { model: 'secret' }]) {
            const got = await posted(url, sent, authorization ? { authorization } : {});
            assert.equal(got.status, 401, `${path} ${authorization}`);
            assert.match(got.headers.get('www-authenticate') ?? '', /^Bearer/);
            const { code } = got.json['error'] as { code: string };
            assert.match(code, /^(missing|invalid)_api_key$/);
            assert.ok(!got.text.includes('wrong-key'));
          }
        const authorization = 'Bearer right-key';
        assert.equal((await posted(url, body, { authorization })).status, 200);
        const other = await posted(url, { ...body, model: 'other' }, { authorization });
        assert.ok([403, 404].includes(other.status), other.text);
      }
    });

    test('a body of 4 MB is parsed elsewhere and answered', async () => {
      const padding = 'y'.repeat(4 * 1024 * 1024);
      const got = await posted(completions, { ...asked('@echo large'), metadata: { padding } });
      assert.equal(got.status, 200, got.text);
      assert.match(got.text, /"content":"large"/);
    });

    test('pages of an allowed origin may read answers and errors, others get nothing', async () => {
      const allowed = { origin: 'https://app.example' };
      const preflight = await fetch(completions, {
        method: 'OPTIONS',
        headers: {
          ...allowed,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type,x-stainless-lang',
        },
      });
      assert.equal(preflight.status, 204);
      const told = (name: string) => preflight.headers.get(`access-control-allow-${name}`);
      assert.equal(told('origin'), 'https://app.example');
      assert.match(told('methods') ?? '', /POST/);
      assert.equal(told('headers'), 'authorization,content-type,x-stainless-lang');
      for (const [body, status] of [
        [asked('@echo x'), 200],
        [{ ...asked('x'), model: 'nope' }, 404],
      ] as const) {
        const got = await posted(completions, body, allowed);
        assert.equal(got.status, status);
        assert.equal(got.headers.get('access-control-allow-origin'), 'https://app.example');
      }
      const foreign = { origin: 'https://evil.example' };
      const refused = await posted(completions, asked('x'), foreign);
      assert.equal(refused.status, 403);
      assert.equal(refused.headers.get('access-control-allow-origin'), null);
      const asking = { ...foreign, 'access-control-request-method': 'POST' };
      const no = await fetch(completions, { method: 'OPTIONS', headers: asking });
      assert.equal(no.headers.get('access-control-allow-origin'), null);
    });

    test('a client that leaves ends its upstream’s answer within milliseconds', async (t) => {
      for (const prompt of ['@tokens 5000\n@fault rate=50', '@fault stall-first=0']) {
        const outgoing = request(completions, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
        });
        outgoing.on('error', () => undefined);
        outgoing.end(JSON.stringify({ ...asked(prompt), stream: true }));
        await until(async () => (await metric('millrace_streams_running')) === 1, 'the stream');
        const cancelled = await metric('millrace_streams_ended_total{outcome="cancelled"}');
        const leftMs = performance.now();
        outgoing.destroy();
        await until(
          async () =>
            (await metric('millrace_streams_ended_total{outcome="cancelled"}')) > cancelled,
          'the cancel',
        );
        t.diagnostic(`cancelled ${(performance.now() - leftMs).toFixed()} ms after it left`);
        assert.equal(await metric('millrace_streams_running'), 0);
        assert.equal(await metric('websocket_connections_total'), 0);
      }
    });

    test('a reader that stops pauses its upstream, nobody else, and gets every byte later', async () => {
      const body = JSON.stringify({ ...asked('go'), model: 'gush', stream: true });
      const got = await new Promise<string>((resolve, reject) => {
        const outgoing = request(completions, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
        });
        outgoing.on('error', reject);
        outgoing.on('response', (response) => {
          const parts: Buffer[] = [];
          response.once('data', (first: Buffer) => {
            parts.push(first);
            response.pause();
            const pauses = async () => {
              const before = await metric('millrace_backpressure_total');
              await until(() => gushing.begun === 1, 'the upstream');
              for (let turn = 0; turn < 5; turn++) {
                const other = await posted(completions, asked('@echo not held up'));
                assert.match(other.text, /not held up/);
              }
              assert.ok((await metric('millrace_backpressure_total')) >= Math.max(1, before));
              assert.equal(gushing.taken, 0, 'it was not taken to the end');
              response.on('data', (part: Buffer) => parts.push(part));
              response.on('end', () => resolve(Buffer.concat(parts).toString()));
              response.resume();
            };
            pauses().catch(reject);
          });
        });
        outgoing.end(body);
      });
      const whole = Array.from({ length: DELTAS }, (_, n) => deltaText(n, DELTA_BYTES)).join('');
      const text = got
        .split('\n')
        .filter((line) => line.startsWith('data: {'))
        .map((line) => JSON.parse(line.slice(6)) as Chunk);
      assert.ok(contentOf(text) === whole, 'every byte, in order');
      assert.ok(got.endsWith('data: [DONE]\n\n'));
    });

    test('a limit of the upstreams is a 429 that says when to come back', async () => {
      const got = await posted(completions, {
        ...asked('@fault status=429 retry-after=7'),
        stream: true,
      });
      assert.equal(got.status, 429, got.text);
      const seconds = Number(got.headers.get('retry-after'));
      assert.ok(seconds >= 6 && seconds <= 7);
      const { error } = got.json as { error: { code: string; type: string } };
      assert.deepEqual([error.code, error.type], ['rate_limit_exceeded', 'rate_limit_error']);
    });
  });
}
