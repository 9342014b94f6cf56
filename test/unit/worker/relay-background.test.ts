/** An answer of the Responses API that breaks off goes on behind the last event that was whole: cut at every byte, the text is the recorded one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FakeExchange } from '../../support/fake-transport.ts';
import { recordings } from '../../support/recordings.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

const recorded = recordings().find(({ name }) => name === 'llama-server/responses-plain');
assert.ok(recorded);
/** As OpenAI numbers its events; this server does not. */
const EVENTS = Buffer.from(recorded.body)
  .toString()
  .split('\n\n')
  .filter((event) => event.includes('data: {'))
  .map((event, number) => `${event.replace('data: {', `data: {"sequence_number":${number},`)}\n\n`);
const WHOLE = Buffer.from(EVENTS.join(''));
const TEXT = EVENTS.map((event) => JSON.parse(event.slice(event.indexOf('data: ') + 6)))
  .filter(({ type }) => type === 'response.output_text.delta')
  .map(({ delta }) => String(delta))
  .join('');
const ID = /"id":"(resp_\w+)"/.exec(EVENTS[0])?.[1];
const COMMIT = WHOLE.indexOf('\n\n', WHOLE.indexOf('output_text.delta')) + 2;
const LAST =
  WHOLE.indexOf('event: response.completed') < 0
    ? WHOLE.lastIndexOf('data: {')
    : WHOLE.indexOf('event: response.completed');
const upstreams = [
  {
    name: 'one',
    url: 'http://one.test/v1',
    provider: 'openai-responses',
    resume: 'background' as const,
    apiKey: 'secret',
  },
];

async function begun() {
  const r = rig({ options: { upstreams, stream: { resumesMax: 1000, gapTimeoutMs: 500 } } });
  r.open(1);
  return r;
}

async function asked(r: Rig): Promise<[turn: number, exchange: FakeExchange]> {
  const turn = r.ask(1);
  await r.settle();
  const { last } = r.transport;
  const body = JSON.parse(last.request.body);
  assert.deepEqual([body.store, body.background, body.stream], [true, true, true]);
  return [turn, last.sent().head()];
}

/** What the upstream sends behind an event. */
const behind = (exchange: FakeExchange) => {
  assert.equal(exchange.request.method, 'GET');
  const [, id, after] =
    /^\/v1\/responses\/(\w+)\?stream=true&starting_after=(\d+)$/.exec(exchange.request.path) ?? [];
  assert.equal(id, ID);
  assert.equal(exchange.request.headers['authorization'], 'Bearer secret');
  return Buffer.from(EVENTS.slice(Number(after) + 1).join(''));
};

async function forgotten(r: Rig, methods: readonly string[]) {
  for (const method of methods) {
    const { last } = r.transport;
    assert.equal(last.request.method, method);
    assert.equal(last.request.path, `/v1/responses/${ID}${method === 'POST' ? '/cancel' : ''}`);
    last.sent().head(200).bytes('{}').end();
    await r.settle();
  }
  r.assertIdle();
}

test('cut at every byte, it goes on behind the last whole event, and is deleted in the end', {
  timeout: 200_000,
}, async () => {
  const r = await begun();
  assert.ok(TEXT.length > 50 && COMMIT > 0 && LAST > COMMIT);
  for (let cut = COMMIT; cut < LAST; cut += process.env['SLOW'] ? 1 : 61) {
    const [turn, exchange] = await asked(r);
    exchange.raw(WHOLE.subarray(0, cut)).fail();
    await r.settle();
    const { last } = r.transport;
    last.sent().head().raw(behind(last)).end();
    await r.settle();
    assert.equal(r.end(turn).type, 'response.completed', `cut at ${cut}`);
    assert.equal(r.text(turn), TEXT, `cut at ${cut}`);
    await forgotten(r, ['DELETE']);
    r.frames.length = 0;
  }
});

test('in reads of any size, and cut again and again, nothing is lost or said twice', async () => {
  const r = await begun();
  const [turn, first] = await asked(r);
  let exchange = first.raw(WHOLE.subarray(0, COMMIT + 5));
  let left = WHOLE.subarray(COMMIT + 5);
  for (let n = 0; left.length > 0; n += 1) {
    const size = 1 + ((n * 97) % 400);
    exchange.raw(left.subarray(0, size));
    left = left.subarray(size);
    await r.settle();
    if (n % 7 !== 6 || left.length === 0 || r.hasEnd(turn)) continue;
    exchange.fail();
    await r.pass(100);
    exchange = r.transport.last.sent().head();
    left = behind(exchange);
  }
  exchange.end();
  await r.settle();
  assert.equal(r.end(turn).type, 'response.completed');
  assert.equal(r.text(turn), TEXT);
  await forgotten(r, ['DELETE']);
});

test('a cancel stops the response there, and then deletes it', async () => {
  const r = await begun();
  const [turn, exchange] = await asked(r);
  exchange.raw(WHOLE.subarray(0, COMMIT + 300));
  await r.settle();
  r.send(1, { type: 'response.cancel' });
  await r.settle();
  assert.equal(exchange.cancelled, true);
  assert.equal(r.end(turn).type, 'response.incomplete');
  await forgotten(r, ['POST', 'DELETE']);
});
