/** Where facts go: lines for the log, changes of state for those who come later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exemplars } from '../../../src/observe/exemplars.ts';
import { createLog } from '../../../src/observe/log.ts';
import { dimensionsOf, schedule } from '../../../src/observe/metrics.ts';
import { Observer } from '../../../src/observe/observer.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import type { UserOptions } from '../../../src/options/schema.ts';
import type { Fact, StreamEnded } from '../../../src/threads/facts.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';

type Line = Record<string, unknown>;

function setting(code: UserOptions = {}) {
  const { options } = resolveOptions({ code });
  const lines: Line[] = [];
  const log = createLog({ level: 'debug' }, { write: (line) => void lines.push(JSON.parse(line)) });
  const world = new SimulatedWorld();
  const plan = schedule(dimensionsOf(options));
  const exemplars = new Exemplars(plan);
  const { clock, ticker } = world;
  const { dimensions } = plan;
  const observer = new Observer({ options, log, clock, ticker, exemplars, dimensions });
  return { lines, observer, world, plan, exemplars };
}

const end: StreamEnded = {
  fact: 'stream-ended',
  session: 3,
  generation: 7,
  stream: 12,
  responseId: 'resp_1',
  lane: '',
  principal: 'anonymous',
  dialect: 'responses',
  model: 'demo',
  upstream: 'two',
  provider: 'openai-chat',
  worker: 0,
  attempts: 2,
  tries: [
    {
      upstream: 'one',
      row: 0,
      provider: 'openai-chat',
      origin: 'http://one.test',
      outcome: 'MILLRACE_UPSTREAM_RESET',
      startMs: 0,
      sentMs: 1,
      headMs: -1,
      firstMs: -1,
      durationMs: 2.00049,
      spanId: 'aaaaaaaaaaaaaaaa',
    },
  ],
  outcome: 'finished',
  finishReason: 'stop',
  inputTokens: 1,
  cachedTokens: 2,
  outputTokens: 3,
  reasoningTokens: 4,
  frames: 5,
  bytes: 600,
  deltas: 4,
  startedWallMs: 1_790_000_000_000,
  firstDeltaMs: 30.12345,
  meanGapMs: -1,
  maxGapMs: -1,
  pausedMs: 0,
  durationMs: 99,
  trace: { traceId: 'b'.repeat(32), spanId: 'c'.repeat(16), parentId: 'd'.repeat(16), flags: 1 },
};

test('a stream is one line: ids, who asked, who answered, every attempt, tokens, times, trace', () => {
  const { lines, observer } = setting();
  observer.fact(end);
  assert.equal(lines.length, 1);
  const { time, name, level, msg, ...facts } = lines[0];
  assert.deepEqual([name, level, msg], ['millrace', 'info', 'stream finished']);
  assert.equal(typeof time, 'string');
  assert.deepEqual(facts, {
    event: 'stream-ended',
    session: '3.7',
    stream: 12,
    response: 'resp_1',
    principal: 'anonymous',
    dialect: 'responses',
    model: 'demo',
    upstream: 'two',
    provider: 'openai-chat',
    worker: 0,
    outcome: 'finished',
    finishReason: 'stop',
    attempts: 2,
    tries: [
      {
        upstream: 'one',
        outcome: 'MILLRACE_UPSTREAM_RESET',
        startMs: 0,
        durationMs: 2,
        spanId: 'aaaaaaaaaaaaaaaa',
      },
    ],
    inputTokens: 1,
    cachedTokens: 2,
    outputTokens: 3,
    reasoningTokens: 4,
    frames: 5,
    bytes: 600,
    deltas: 4,
    firstDeltaMs: 30.123,
    pausedMs: 0,
    durationMs: 99,
    traceId: 'b'.repeat(32),
    spanId: 'c'.repeat(16),
    parentSpanId: 'd'.repeat(16),
  });
});

test('log.streams: false keeps lines of streams away, and nothing else', () => {
  const { lines, observer } = setting({ log: { streams: false } });
  observer.fact(end);
  observer.fact({ fact: 'upstream-health', upstream: 'one', healthy: false, reason: 'status 500' });
  assert.deepEqual(
    lines.map(({ event }) => event),
    ['upstream-health'],
  );
});

test('a flood of refused handshakes is a few lines and one that counts the rest', async () => {
  const { lines, observer, world } = setting({ log: { linesPerSecondMax: 5 } });
  const refused: Fact = {
    fact: 'handshake-refused',
    code: 'MILLRACE_KEY_INVALID',
    address: '203.0.113.9',
  };
  for (let n = 0; n < 10_000; n += 1) observer.fact(refused);
  assert.equal(lines.length, 5);
  await world.pass(1_000);
  assert.equal(lines.length, 6);
  const { event, of, lines: left } = lines[5];
  assert.deepEqual([event, of, left], ['suppressed', 'handshake-refused', 9_995]);
});

test('events are the newest changes of state and faults, numbered, without what happens all the time', () => {
  const { observer } = setting({ observe: { eventsMax: 3 } });
  observer.fact(end);
  observer.fact({ fact: 'worker-ready', worker: 0, generation: 1 });
  observer.fact({ fact: 'upstream-health', upstream: 'one', healthy: false, reason: 'status 500' });
  observer.fact({ fact: 'upstream-drain', upstream: 'one', drained: true });
  observer.fault(new Error('Bearer sk-abcdefgh12345678 was wrong'), 'admin /metrics');
  const { total, events } = observer.events.list();
  assert.equal(total, 4);
  assert.deepEqual(
    events.map(({ number, event }) => [number, event]),
    [
      [2, 'upstream-health'],
      [3, 'upstream-drain'],
      [4, 'fault'],
    ],
  );
  assert.equal(events[0].time, '2026-09-21T14:13:21.000Z');
  assert.equal(events[2]['text'], 'an internal error: Bearer [hidden] was wrong');
});

test('an observer without room for events counts them', () => {
  const { observer } = setting({ observe: { eventsMax: 0 } });
  observer.fact({ fact: 'worker-ready', worker: 0, generation: 1 });
  assert.deepEqual(observer.events.list(), { total: 1, events: [] });
});

test('a fault has its stack in the log only', () => {
  const { lines, observer } = setting();
  observer.fault(new Error('odd'), 'message');
  assert.match(String(lines[0]['stack']), /observer\.test/);
  assert.equal(observer.events.list().events[0]['stack'], undefined);
  observer.fault('just a text', 'message');
  assert.equal(lines.length, 2);
});

test('a recorded trace is the example of the buckets its stream fell into; an unrecorded one is none', () => {
  const upstreams = ['one', 'two'].map((name) => ({ name, url: 'http://127.0.0.1:1/v1' }));
  const { observer, plan, exemplars } = setting({ upstreams });
  const streams = plan.index('millrace_stream_seconds');
  // Bounds: 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1
  observer.fact({ ...end, trace: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: 0 } });
  assert.equal(exemplars.of(streams + 7), undefined);
  const [attempt] = end.tries;
  observer.fact({ ...end, tries: [{ ...attempt, row: 1, firstMs: 30 }] });
  assert.deepEqual(exemplars.of(streams + 7), {
    labelSet: { trace_id: 'b'.repeat(32), span_id: 'c'.repeat(16) },
    value: 0.099,
    timestamp: 1_790_000_000.099,
  });
  const first = plan.index('millrace_first_delta_seconds', 1);
  assert.equal(exemplars.of(first + 6)?.value, 0.03);
  assert.equal(exemplars.of(first + 6)?.labelSet['span_id'], 'a'.repeat(16));
  assert.equal(exemplars.of(plan.index('millrace_first_delta_seconds', 0) + 6), undefined);
});
