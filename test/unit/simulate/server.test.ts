import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { after, test } from 'node:test';
import { createParser } from 'eventsource-parser';
import { type Answer, answerFor } from '../../../src/simulate/answer.ts';
import { parseChatRequest } from '../../../src/simulate/chat-request.ts';
import { DISCLOSURE } from '../../../src/simulate/corpus.ts';
import { directivesIn } from '../../../src/simulate/directives.ts';
import { faultNames } from '../../../src/simulate/faults.ts';
import { startSimulated } from '../../../src/simulate/server.ts';
import { type RawExchange, rawHttp } from '../../support/raw-http.ts';
import { until } from '../../support/until.ts';

const SEED = 7;
const server = await startSimulated({
  name: 'one',
  seed: SEED,
  tokensPerSecond: Number.POSITIVE_INFINITY,
  firstTokenMs: 1,
  jitter: 0,
});
after(() => server.close());
const chat = `${server.url}/chat/completions`;

function bodyOf(prompt: string, more: object = {}): string {
  const messages = [{ role: 'user', content: prompt }];
  return JSON.stringify({ model: 'demo', stream: true, messages, ...more });
}

/** Asks with faults in the header. */
function ask(faults: string, prompt = '@tokens 5', more: object = {}, patienceMs = 2000) {
  const headers = { 'x-simulate': faults, authorization: 'Bearer whatever' };
  return rawHttp(chat, { body: bodyOf(prompt, more), headers, patienceMs });
}

/** What the last request should have been answered. */
function expected(prompt: string, more: object = {}): Answer {
  const number = server.journal.requests - 1;
  const seeds = { seed: SEED, number, meanTokens: 120 };
  return answerFor(parseChatRequest(bodyOf(prompt, more)), directivesIn(prompt, 'one'), seeds);
}

interface Chunk {
  choices: {
    delta: Record<string, unknown>;
    finish_reason: string | null;
  }[];
  usage?: Record<string, unknown> | null;
  system_fingerprint: string;
}

/** Reads a body with a parser we did not write. */
function read(body: Buffer): { chunks: Chunk[]; done: boolean; text: string } {
  const chunks: Chunk[] = [];
  let done = false;
  const parser = createParser({
    onEvent({ data }) {
      if (data === '[DONE]') done = true;
      else chunks.push(JSON.parse(data) as Chunk);
    },
  });
  parser.feed(body.toString());
  const deltas = chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta['content']));
  return { chunks, done, text: deltas.filter((delta) => typeof delta === 'string').join('') };
}

const ended = () => server.journal.last?.ending !== 'running';

test('a stream carries the answer, one finish reason, usage when asked for, and [DONE]', async () => {
  const more = { stream_options: { include_usage: true } };
  const got = await ask('', '@tokens 30\n@reason', more);
  const want = expected('@tokens 30\n@reason', more);
  const { chunks, done, text } = read(got.body);
  assert.equal(got.status, 200);
  assert.equal(got.headers['content-type'], 'text/event-stream; charset=utf-8');
  assert.ok(done && got.complete);
  assert.equal(text, want.content.join(''));
  assert.ok(text.startsWith(DISCLOSURE));
  const finishes = chunks.flatMap((chunk) => chunk.choices).filter((one) => one.finish_reason);
  assert.deepEqual(
    finishes.map((one) => one.finish_reason),
    ['stop'],
  );
  const usages = chunks.filter((chunk) => chunk.usage);
  assert.equal(usages.length, 1);
  assert.equal(usages[0]?.choices.length, 0);
  assert.equal(usages[0]?.usage?.['completion_tokens'], want.completionTokens);
  const reasoned = chunks.flatMap((chunk) =>
    chunk.choices.map((one) => one.delta['reasoning_content']),
  );
  assert.equal(reasoned.filter(Boolean).join(''), want.reasoning.join(''));
});

test('it labels itself in headers, ids, fingerprints and model entries, and ignores credentials', async () => {
  const got = await ask('');
  assert.equal(got.headers['server'], 'millrace-simulated');
  assert.equal(got.headers['x-simulated'], 'one');
  assert.ok(read(got.body).chunks.every((chunk) => chunk.system_fingerprint === 'simulated'));
  const models = await rawHttp(`${server.url}/models`);
  assert.match(models.body.toString(), /"id":"demo".*millrace-simulated/);
  assert.equal((await rawHttp(`${server.url}/models/demo`)).status, 200);
  const health = await rawHttp(server.url.replace('/v1', '/healthz'));
  assert.deepEqual(JSON.parse(health.body.toString()), { status: 'ok', simulated: true });
});

test('it lists its faults, each with a sentence', async () => {
  const listed = await rawHttp(server.url.replace('/v1', '/faults'));
  const faults = JSON.parse(listed.body.toString()) as Record<string, string>;
  assert.deepEqual(Object.keys(faults), faultNames);
  assert.match(faults['reset-after'] ?? '', /RST/);
});

test('models it does not serve, unknown paths and wrong methods are refused in the shape of OpenAI', async () => {
  const got = await ask('', 'hi', { model: 'gpt-9' });
  assert.equal(got.status, 404);
  const { error } = JSON.parse(got.body.toString()) as { error: Record<string, string> };
  assert.equal(error['code'], 'model_not_found');
  assert.match(error['message'] ?? '', /simulated.*gpt-9.*demo/);
  assert.equal((await rawHttp(`${server.url}/nothing`)).status, 404);
  assert.equal((await rawHttp(chat)).status, 405);
  assert.equal((await rawHttp(chat, { body: '{' })).status, 400);
  const unknown = await ask('no-such-fault');
  assert.equal(unknown.status, 400);
  assert.match(unknown.body.toString(), /no-such-fault/);
  assert.equal(server.journal.last?.ending, 'refused');
});

test('without stream the answer comes whole', async () => {
  const more = { stream: false };
  const got = await ask('', '@tokens 9', more);
  const body = JSON.parse(got.body.toString()) as {
    choices: { message: { content: string }; finish_reason: string }[];
    usage: { completion_tokens: number };
  };
  assert.equal(body.choices[0]?.message.content, expected('@tokens 9', more).content.join(''));
  assert.equal(body.choices[0]?.finish_reason, 'stop');
  assert.equal(body.usage.completion_tokens, 9);
});

test('tool calls come as fragments under one index each', async () => {
  const tools = ['f', 'g'].map((name) => ({ type: 'function', function: { name } }));
  const got = await ask('', '@tool f {"a":"some longer text"}\n@tool g', { tools });
  type Call = { index: number; id?: string; function: { name?: string; arguments: string } };
  const calls = read(got.body).chunks.flatMap((chunk) =>
    chunk.choices.flatMap((one) => (one.delta['tool_calls'] as Call[] | undefined) ?? []),
  );
  const of = (index: number) => calls.filter((call) => call.index === index);
  assert.equal(
    of(0)
      .map((call) => call.function.arguments)
      .join(''),
    '{"a":"some longer text"}',
  );
  assert.deepEqual(
    of(0)
      .filter((call) => call.id)
      .map((call) => call.function.name),
    ['f'],
  );
  assert.equal(of(1)[0]?.function.name, 'g');
  assert.equal(read(got.body).chunks.at(-1)?.choices[0]?.finish_reason, 'tool_calls');
});

test('status faults answer with their status, headers and body', async () => {
  const limited = await ask('status=429 retry-after=2 retry-after-ms=1500');
  assert.equal(limited.status, 429);
  assert.equal(limited.headers['retry-after'], '2');
  assert.equal(limited.headers['retry-after-ms'], '1500');
  assert.match(limited.body.toString(), /rate_limit_exceeded/);
  const web = await ask('status=502 html');
  assert.equal(web.status, 502);
  assert.match(web.headers['content-type'] ?? '', /html/);
  assert.match(web.body.toString(), /<html>/);
  const quota = await ask('status=429 error-code=insufficient_quota');
  assert.match(quota.body.toString(), /"code":"insufficient_quota"/);
});

test('an empty body and a wrong content type are what they say', async () => {
  const empty = await ask('empty');
  assert.deepEqual([empty.status, empty.body.length, empty.complete], [200, 0, true]);
  assert.equal((await ask('content-type=text/html')).headers['content-type'], 'text/html');
  assert.equal((await ask('close')).headers['connection'], 'close');
});

/** Content deltas that arrived before the answer broke. */
function tokensIn({ latin1 }: RawExchange): number {
  return latin1.match(/"content":"[^"]/g)?.length ?? 0;
}

test('a reset ends the connection before the headers or after exactly n tokens', async () => {
  const before = await ask('reset-before-headers');
  assert.deepEqual([before.end, before.latin1], ['reset', '']);
  assert.equal(server.journal.last?.ending, 'fault');
  for (const sent of [0, 1, 3, 5]) {
    const got = await ask(`reset-after=${sent} rate=500`);
    assert.equal(got.end, 'reset');
    assert.equal(got.status, 200);
    assert.equal(tokensIn(got), sent);
    assert.equal(server.journal.last?.tokensSent, sent);
    assert.equal(got.complete, false);
  }
});

test('a connection closed in good order is cut within the body or without an answer', async () => {
  const before = await ask('end-before-headers');
  assert.deepEqual([before.end, before.latin1], ['end', '']);
  const cut = await ask('cut-after=2 rate=500');
  assert.deepEqual([cut.end, cut.complete, tokensIn(cut)], ['end', false, 2]);
});

test('a body ended in good order after n tokens has neither finish reason nor [DONE]', async () => {
  const got = await ask('end-after=2');
  const { chunks, done } = read(got.body);
  assert.ok(got.complete && !done);
  assert.equal(tokensIn(got), 2);
  assert.ok(chunks.every((chunk) => chunk.choices.every((one) => one.finish_reason === null)));
  assert.equal(server.journal.last?.ending, 'fault');
});

test('stalls hold the headers, the first token or the middle back, for a while or for ever', async () => {
  const patienceMs = 80;
  assert.equal((await ask('stall-headers=0', undefined, {}, patienceMs)).latin1, '');
  const first = await ask('stall-first=0', undefined, {}, patienceMs);
  assert.deepEqual([first.status, first.end, tokensIn(first)], [200, 'open', 0]);
  const middle = await ask('stall-after=2', undefined, {}, patienceMs);
  assert.deepEqual([middle.end, tokensIn(middle)], ['open', 2]);
  await until(ended, 'the stalled answer to see its client leave');
  assert.equal(server.journal.last?.ending, 'client-closed');
  for (const fault of [
    'stall-headers=60',
    'stall-first=60',
    'stall-after=2 stall-ms=60',
    'finish-late=60',
  ]) {
    const beginMs = performance.now();
    const got = await ask(fault);
    assert.ok(performance.now() - beginMs >= 60, fault);
    assert.equal(read(got.body).text, expected('@tokens 5').content.join(''), fault);
  }
});

test('a slow answer takes its time', async () => {
  const beginMs = performance.now();
  await ask('rate=50 first-token-ms=40', '@tokens 5');
  const tookMs = performance.now() - beginMs;
  assert.ok(tookMs >= 40 + 4 * 20, `${tookMs}`);
});

test('broken content is broken: JSON, UTF-8, oversize, an error in the stream', async () => {
  const malformed = await ask('malformed-after=2');
  const lines = malformed.body
    .toString()
    .split('\n')
    .filter((line) => line.includes('broken'));
  assert.equal(lines.length, 1);
  assert.throws(() => JSON.parse((lines[0] ?? '').slice('data: '.length)));
  const utf8 = await ask('bad-utf8-after=1');
  assert.throws(() => new TextDecoder('utf-8', { fatal: true }).decode(utf8.body));
  assert.equal(utf8.body.filter((byte) => byte === 0x80).length >= 1, true);
  const oversize = await ask('oversize-after=1');
  assert.ok(
    oversize.body
      .toString()
      .split('\n\n')
      .some((event) => event.length > 2 * 1024 * 1024),
  );
  const failed = await ask('error-after=1 error-code=overloaded_error');
  assert.match(
    failed.body.toString(),
    /data: \{"error":\{.*"code":"overloaded_error"\}\}\n\ndata: \[DONE\]/,
  );
});

test('the end may lack its finish reason, its [DONE], or the blank line after it', async () => {
  const finish = (got: RawExchange) => /"finish_reason":"stop"/.test(got.latin1);
  const noFinish = await ask('no-finish');
  assert.deepEqual([finish(noFinish), read(noFinish.body).done], [false, true]);
  const noDone = await ask('no-done');
  assert.deepEqual([finish(noDone), read(noDone.body).done, noDone.complete], [true, false, true]);
  const bare = await ask('bare-done');
  assert.ok(bare.body.toString().endsWith('data: [DONE]'));
  assert.match((await ask('after-done')).body.toString(), /\[DONE\]\n\ndata: \{.*after the end/);
  const usage = { stream_options: { include_usage: true } };
  assert.doesNotMatch((await ask('no-usage', 'hi', usage)).latin1, /prompt_tokens/);
  assert.match(
    (await ask('usage-with-finish', 'hi', usage)).latin1,
    /"finish_reason":"stop"\}\],"usage":\{"prompt_tokens"/,
  );
});

test('every legal framing carries the same answer', async () => {
  const framings = [
    'framing=crlf',
    'framing=cr',
    'framing=lf',
    'comments',
    'no-space',
    'multi-data',
    'events',
    'bom',
    'null-role',
    'no-role',
    'obfuscation',
    'escapes',
    'null-fields',
    'framing=cr comments no-space multi-data events bom escapes null-fields',
  ];
  const plain = (await ask('')).body.toString();
  for (const fault of framings) {
    const got = await ask(fault, '@echo größer 日本 🙂 x');
    // The oracle ends an event at a lone CR only when more follows.
    const body =
      fault.includes('=cr') && !fault.includes('crlf')
        ? Buffer.concat([got.body, Buffer.from('\n')])
        : got.body;
    const { text, done } = read(body);
    assert.equal(text, 'größer 日本 🙂 x', fault);
    assert.ok(done, fault);
    if (fault !== 'framing=lf') assert.notEqual(got.body.toString(), plain, fault);
  }
  assert.doesNotMatch((await ask('framing=cr')).body.toString(), /\n/);
  assert.match((await ask('framing=crlf')).body.toString(), /\r\n\r\n/);
  assert.match(
    (await ask('reasoning-field=reasoning', '@reason')).latin1,
    /"delta":\{"reasoning":/,
  );
  assert.ok(!/[^\0-\x7f]/.test((await ask('escapes', '@echo 日本')).body.toString()));
});

test('a split response arrives in pieces of the wanted sizes, head and chunk sizes included', async () => {
  const got = await ask('split=1,7,3', '@echo größer', {}, 9000);
  assert.equal(read(got.body).text, 'größer');
  assert.equal(got.end, 'end');
  assert.ok(got.complete);
  // The network may join pieces, never divide them.
  const cuts = new Set<number>([0]);
  for (let at = 0, turn = 0; at < got.latin1.length; turn += 1)
    cuts.add((at += [1, 7, 3][turn % 3] ?? 1));
  let at = 0;
  for (const piece of got.reads.slice(0, -1))
    assert.ok(cuts.has((at += piece.length)), `cut at ${at}`);
  assert.ok(got.reads.length > got.latin1.length / 20, `${got.reads.length} reads`);
  const reset = await ask('split=64 reset-after=1', 'hi', {}, 9000);
  assert.deepEqual([reset.end, tokensIn(reset)], ['reset', 1]);
  const refused = await ask('split=5 status=503');
  assert.deepEqual([refused.status, refused.end, refused.complete], [503, 'end', true]);
});

test('faults may stand in the prompt, hold for some requests, or for one server only', async () => {
  assert.equal((await ask('', '@fault status=500')).status, 500);
  assert.equal((await ask('', '@fault only=two status=500')).status, 200);
  assert.equal((await ask('status=501', '@fault only=one status=500')).status, 500);
  server.faults.set('status=503', 2);
  const statuses = [];
  for (let turn = 0; turn < 3; turn += 1) statuses.push((await ask('')).status);
  assert.deepEqual(statuses, [503, 503, 200]);
  server.faults.set({ status: 502 });
  assert.equal((await ask('')).status, 502);
  server.faults.set(undefined);
  assert.equal((await ask('')).status, 200);
  assert.throws(() => server.faults.set('nonsense'), { code: 'MILLRACE_FIELD_INVALID' });
});

test('a server can refuse connections and come back on its port, and fail its health check', async () => {
  await server.faults.refuse(true);
  await server.faults.refuse(true);
  assert.equal((await ask('')).end, 'reset');
  await server.faults.refuse(false);
  assert.equal((await ask('')).status, 200);
  const health = server.url.replace('/v1', '/healthz');
  server.faults.health(503);
  assert.equal((await rawHttp(health)).status, 503);
  server.faults.health(200);
  assert.equal((await rawHttp(health)).status, 200);
});

test('all connections can be reset at once', async () => {
  const running = ask('stall-after=1', undefined, {}, 4000);
  await until(
    () => server.streams === 1 && server.journal.last?.tokensSent === 1,
    'a running stream',
  );
  assert.equal(server.faults.resetAll(), 1);
  const broken = await running;
  assert.ok(broken.end !== 'open' && !broken.complete);
  await until(() => server.streams === 0 && server.connections === 0, 'nothing runs');
});

test('the journal tells what was asked, how it ended and how much was sent', async () => {
  server.journal.clear();
  await ask('', '@tokens 5');
  const [entry] = server.journal.entries;
  assert.equal(entry?.ending, 'finished');
  assert.equal(entry?.tokensSent, 5);
  assert.equal(entry?.status, 200);
  assert.equal(entry?.headers['authorization'], 'Bearer whatever');
  assert.equal(entry?.request?.messages[0]?.content, '@tokens 5');
  assert.ok(entry.firstTokenMs !== undefined && entry.firstTokenMs >= entry.receivedMs);
  assert.ok(entry.endedMs !== undefined && entry.endedMs >= entry.firstTokenMs);
  const left = rawHttp(chat, {
    body: bodyOf('@tokens 1000\n@fault rate=100'),
    done: (latin1) => latin1.includes('simulat'),
  });
  await left;
  await until(
    () => server.journal.entries[1]?.ending === 'client-closed',
    'the client was seen to leave',
  );
  assert.ok((server.journal.entries[1]?.tokensSent ?? 1000) < 1000);
});

// At once, and in small pieces: the stream is stopped at two places.
for (const [how, pace] of [
  ['at full speed', ''],
  ['in small pieces', '\n@fault rate=25000'],
] as const) {
  test(`a client that does not read stops a stream ${how}, and reading goes on where it stopped`, async () => {
    const prompt = `@tokens 40000${pace}`;
    const body = bodyOf(prompt, { stream_options: { include_usage: true } });
    const response = await new Promise<IncomingMessage>((resolve) => {
      request(chat, { method: 'POST', agent: false }, resolve).end(body);
    });
    const sent = () => server.journal.last?.tokensSent ?? 0;
    let seen = -1;
    let unchanged = 0;
    await until(() => {
      unchanged = sent() === seen ? unchanged + 1 : 0;
      seen = sent();
      return unchanged > 10 && (server.journal.last?.bytesSent ?? 0) > 200_000;
    }, 'the stream to stop');
    assert.ok(seen < 40_000, `sent ${seen} without a reader`);
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part as Buffer);
    const { text, done } = read(Buffer.concat(parts));
    assert.ok(done);
    assert.equal(text, expected(prompt).content.join(''));
  });
}

test('bounds hold: body, streams at once, journal entries', async (t) => {
  const small = await startSimulated({ bodyBytesMax: 200, streamsMax: 1, journalEntriesMax: 2 });
  t.after(() => small.close());
  const url = `${small.url}/chat/completions`;
  const pad = (bytes: number) =>
    bodyOf('x').replace('"x"', `"${'x'.repeat(bytes - bodyOf('').length)}"`);
  assert.equal(Buffer.byteLength(pad(200)), 200);
  const headers = { 'x-simulate': 'rate=100000 first-token-ms=0' };
  assert.equal((await rawHttp(url, { body: pad(200), headers })).status, 200);
  assert.equal((await rawHttp(url, { body: pad(201) })).status, 413);
  const held = rawHttp(url, { body: bodyOf('@fault stall-first=0'), patienceMs: 300 });
  await until(() => small.streams === 1, 'one stream runs');
  assert.equal((await rawHttp(url, { body: bodyOf('hi') })).status, 429);
  await held;
  assert.equal(small.journal.entries.length, 2);
  assert.equal(small.journal.requests, 4);
});

test('closing ends running streams and frees the port', async (t) => {
  const one = await startSimulated();
  t.after(() => one.close());
  const port = Number(new URL(one.url).port);
  const running = rawHttp(`${one.url}/chat/completions`, { body: bodyOf('@fault stall-first=0') });
  await until(() => one.streams === 1, 'a stream runs');
  await one.close();
  assert.notEqual((await running).end, 'open');
  assert.equal(one.journal.last?.ending, 'stopped');
  const two = await startSimulated({ port });
  t.after(() => two.close());
  await assert.rejects(startSimulated({ port }), { code: 'MILLRACE_PORT_TAKEN' });
  await assert.rejects(startSimulated({ tokensPerSecond: 0 }), { code: 'MILLRACE_FIELD_INVALID' });
});
