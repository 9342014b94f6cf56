/** Goal: the page tells the story of a turn as it was: attempts, first token, end, rate. Method: events and failures as the server says them, a clock by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultChoices, withFaults } from '../../../../src/main/page/fault-choices.ts';
import {
  createTurn,
  rateOf,
  SLICE_MS,
  segmentsOf,
  stepsOf,
  type Turn,
  takeEvent,
} from '../../../../src/main/page/turn.ts';
import { directivesIn } from '../../../../src/simulate/directives.ts';

const delta = (text: string) => ({ type: 'response.output_text.delta', delta: text });
const added = (upstream: string, attempts: number) => ({
  type: 'response.output_item.added',
  x_millrace: { upstream, attempts },
});
const reset = (upstream: string, atMs: number) => ({
  upstream,
  atMs,
  code: 'MILLRACE_UPSTREAM_RESET',
  text: `upstream ${upstream} closed the connection: ECONNRESET`,
});
const texts = (turn: Turn) => stepsOf(turn).map(({ text }) => text);
const kinds = (turn: Turn, nowMs: number) =>
  segmentsOf(turn, nowMs).map(({ kind, ms }) => `${kind} ${ms}`);

test('a turn that failed over shows who failed, who answered, and how long each took', () => {
  const turn = createTurn(1000);
  assert.deepEqual(kinds(turn, 1050), ['wait 50']);
  turn.failures = [reset('a', 1100)];
  assert.deepEqual(kinds(turn, 1150), ['failed 100', 'wait 50']);
  takeEvent(turn, added('b', 2), 1200);
  takeEvent(turn, delta('x'), 1200);
  takeEvent(turn, delta('y'), 1700);
  const response = { id: 'r', usage: { output_tokens: 2 }, x_millrace: { upstream: 'b' } };
  takeEvent(turn, { type: 'response.completed', response }, 2000);
  assert.equal(turn.text, 'xy');
  assert.deepEqual(kinds(turn, 9999), ['failed 100', 'wait 100', 'stream 800']);
  assert.deepEqual(texts(turn), [
    'a closed the connection: ECONNRESET; after 100 ms',
    'b answers, attempt 2; first token after 200 ms',
    'completed, 2 tokens in 1.0 s',
  ]);
  assert.equal(rateOf(turn, 9999), 2.5);
});

test('a failure in mid-stream is told apart from those before the first token', () => {
  const turn = createTurn(0);
  takeEvent(turn, added('a', 1), 100);
  takeEvent(turn, delta('x'), 100);
  turn.failures = [reset('a', 300)];
  const error = { message: 'upstream a closed the connection' };
  const x_millrace = {
    code: 'MILLRACE_UPSTREAM_RESET',
    retry: 'elsewhere',
    delivered: { deltas: 1 },
  };
  takeEvent(turn, { type: 'response.failed', response: { id: 'r', error, x_millrace } }, 310);
  assert.deepEqual(kinds(turn, 999), ['wait 100', 'stream 210', 'broken 1']);
  assert.deepEqual(texts(turn), [
    'a answers; first token after 100 ms',
    'MILLRACE_UPSTREAM_RESET: upstream a closed the connection. 1 deltas had arrived. Trying again may help.',
  ]);
});

test('without news of the attempts it still says how many there were', () => {
  const turn = createTurn(0);
  takeEvent(turn, added('c', 3), 100);
  takeEvent(turn, delta('x'), 100);
  assert.equal(texts(turn)[0], '2 failed attempts before');
});

test('a refusal before anything began is the end, and nothing after an end changes it', () => {
  const turn = createTurn(0);
  const error = { code: 'model_not_found', message: 'there is no model "x"' };
  const x_millrace = { code: 'MILLRACE_MODEL_NOT_FOUND', retry: 'never' };
  takeEvent(turn, { type: 'error', error, x_millrace }, 5);
  takeEvent(turn, { type: 'response.completed', response: { id: 'r' } }, 9);
  assert.equal(turn.status, 'failed');
  assert.equal(turn.endedMs, 5);
  assert.deepEqual(kinds(turn, 9), []);
});

test('the rate follows the last second, also after hours', () => {
  const turn = createTurn(0);
  for (const startMs of [0, 7_200_000]) {
    for (let n = 0; n < 80; n += 1) takeEvent(turn, delta('x'), startMs + n * (SLICE_MS / 10));
    const rate = rateOf(turn, startMs + 8 * SLICE_MS) ?? 0;
    assert.ok(Math.abs(rate - 10_000 / SLICE_MS) < 1, String(rate));
  }
  assert.equal(rateOf(turn, 7_300_000), 0, 'silence is no rate');
  assert.ok(turn.pulse.length < 400, 'what is kept is bounded');
});

test('every fault on offer is one that the simulated upstream knows, for the chosen upstream alone', () => {
  for (const { fault } of faultChoices) {
    const message = withFaults(
      'hi',
      new Map([
        ['simulated-a', fault],
        ['simulated-b', ''],
      ]),
    );
    if (fault === '') assert.equal(message, 'hi');
    else
      assert.ok(Object.keys(directivesIn(message, 'simulated-a').faults ?? {}).length > 1, fault);
    assert.deepEqual(directivesIn(message, 'simulated-b').faults ?? {}, {});
  }
  const both = withFaults(
    'hi',
    new Map([
      ['simulated-a', 'status=503'],
      ['simulated-b', 'rate=5'],
    ]),
  );
  assert.equal(directivesIn(both, 'simulated-a').faults?.status, 503);
  assert.deepEqual(directivesIn(both, 'simulated-b').faults, { only: 'simulated-b', rate: 5 });
});
