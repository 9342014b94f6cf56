/**
 * Goal: what real servers sent is read the same way however the network cuts it, and every early end is one failure.
 * Method: every recording against a second reading (reference-chat), in its recorded reads, split in two at every byte, byte by byte, and
 * cut off at every byte with a clean and with a broken end. Bodies above 2 KiB are sampled in their middle; SLOW=1 takes every byte
 * (about ten minutes).
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MillraceError } from '../../../../src/errors.ts';
import { openaiChat } from '../../../../src/protocol/providers/openai-chat.ts';
import { decode } from '../../../support/decode.ts';
import { recordings } from '../../../support/recordings.ts';
import { referenceTrace } from '../../../support/reference-chat.ts';

const all = recordings('POST /v1/chat/completions').filter((it) => !it.name.includes('/resume-'));
const streams = all.filter(
  (it) => it.status === 200 && it.header('content-type')?.startsWith('text/event-stream'),
);
const slow = process.env['SLOW'] !== undefined;

/** All positions of short bodies; of longer ones both ends and a sample. */
function positions(length: number): number[] {
  const edge = slow || length <= 2048 ? length : 60;
  const found: number[] = [];
  for (let at = 0; at <= length; at++)
    if (at <= edge || at >= length - edge || at % 401 === 0) found.push(at);
  return found;
}

test('the recordings are there, of all three servers', () => {
  assert.ok(streams.length >= 40, String(streams.length));
  for (const server of ['llama-server/', 'ollama/', 'litellm/'])
    assert.ok(streams.filter((it) => it.name.startsWith(server)).length >= 8, server);
});

describe('a recorded stream', () => {
  for (const { name, body, reads } of streams) {
    const expected = referenceTrace(body);

    test(`${name} says the same whole, in its reads and byte by byte`, () => {
      assert.deepEqual(decode([body]).sink.trace, expected);
      assert.deepEqual(decode(reads).sink.trace, expected);
      assert.deepEqual(
        decode(Array.from(body, (byte) => Uint8Array.of(byte))).sink.trace,
        expected,
      );
    });

    test(`${name} says the same split in two anywhere`, () => {
      for (const at of positions(body.length))
        assert.deepEqual(
          decode([body.subarray(0, at), body.subarray(at)]).sink.trace,
          expected,
          `split at ${at}`,
        );
    });

    test(`${name} cut off anywhere ends once, and well only after its finish reason`, () => {
      const cause = new MillraceError('MILLRACE_UPSTREAM_RESET', {
        upstream: 'lab',
        reason: 'cut',
      });
      for (const at of positions(body.length)) {
        const cut = body.subarray(0, at);
        const clean = decode([cut]).sink;
        assert.deepEqual(clean.trace, referenceTrace(cut), `clean end at ${at}`);
        const broken = decode([cut], { cause }).sink;
        assert.deepEqual(broken.trace, referenceTrace(cut, cause.code), `broken at ${at}`);
      }
    });
  }
});

test('plain streams are read without parsing, but for what begins and ends them', () => {
  for (const name of ['llama-server/chat-plain', 'ollama/chat-plain', 'litellm/chat-plain']) {
    const recording = streams.find((it) => it.name === name);
    assert.ok(recording, name);
    const { sink, parsed } = decode(recording.reads);
    assert.ok(parsed <= 3 && sink.deltas > 20, `${name}: ${parsed} parsed, ${sink.deltas} deltas`);
  }
});

test('a choice beside the first is refused, and nothing of it leaks into the answer', () => {
  const refused = streams.filter((it) =>
    ['llama-server/chat-n2', 'litellm/chat-n2'].includes(it.name),
  );
  assert.equal(refused.length, 2);
  for (const { body } of refused) {
    const { sink } = decode([body]);
    assert.equal(sink.end, 'MILLRACE_UPSTREAM_MALFORMED');
    assert.match(sink.error?.message ?? '', /several choices/);
  }
});

describe('a recorded body that is no stream', () => {
  const whole = all.filter((it) => it.status === 200 && !streams.includes(it));

  test('is the whole answer, or, cut anywhere, one failure', () => {
    assert.equal(whole.length, 3);
    for (const { name, body } of whole) {
      const { sink } = decode([body]);
      assert.equal(sink.end, 'stop', name);
      const answer = JSON.parse(Buffer.from(body).toString()) as {
        choices: { message: { content: string } }[];
        usage: { completion_tokens: number };
      };
      const [step] = sink.steps;
      assert.ok(step !== undefined && 'text' in step);
      assert.equal(step.text, answer.choices[0].message.content);
      assert.equal(sink.lastUsage?.outputTokens, answer.usage.completion_tokens);
      for (let at = 0; at < Buffer.from(body).lastIndexOf('}'); at++) {
        const cut = decode([body.subarray(0, at)]).sink;
        assert.equal(cut.end, 'MILLRACE_UPSTREAM_TRUNCATED', `${name} cut at ${at}`);
        assert.equal(cut.steps.length, 0);
        const split = decode([body.subarray(0, at), body.subarray(at)]).sink;
        assert.deepEqual(split.trace, sink.trace);
      }
    }
  });
});

describe('a recorded refusal', () => {
  const expected: Record<string, string> = {
    'litellm/error-backend-gone': 'MILLRACE_UPSTREAM_STATUS',
    'litellm/error-backend-key': 'MILLRACE_UPSTREAM_STATUS',
    'litellm/error-bad-json': 'MILLRACE_UPSTREAM_REJECTED',
    'litellm/error-bad-key': 'MILLRACE_UPSTREAM_REJECTED',
    'litellm/error-bad-model': 'MILLRACE_UPSTREAM_REJECTED',
    'litellm/error-context': 'MILLRACE_UPSTREAM_REJECTED',
    'litellm/error-no-key': 'MILLRACE_UPSTREAM_STATUS',
    'litellm/error-no-messages': 'MILLRACE_UPSTREAM_REJECTED',
    'llama-server/error-bad-json': 'MILLRACE_UPSTREAM_STATUS',
    'llama-server/error-bad-key': 'MILLRACE_UPSTREAM_STATUS',
    'llama-server/error-bad-type': 'MILLRACE_UPSTREAM_REJECTED',
    'llama-server/error-context': 'MILLRACE_UPSTREAM_REJECTED',
    'llama-server/error-no-key': 'MILLRACE_UPSTREAM_STATUS',
    'llama-server/error-no-messages': 'MILLRACE_UPSTREAM_REJECTED',
    'ollama/error-bad-json': 'MILLRACE_UPSTREAM_REJECTED',
    'ollama/error-bad-model': 'MILLRACE_UPSTREAM_REJECTED',
    'ollama/error-bad-type': 'MILLRACE_UPSTREAM_REJECTED',
    'ollama/error-no-messages': 'MILLRACE_UPSTREAM_REJECTED',
  };

  test('has the code that says where trying again helps, and a short reason without keys', () => {
    const refusals = all.filter((it) => it.status !== 200);
    assert.deepEqual(refusals.map((it) => it.name).toSorted(), Object.keys(expected).toSorted());
    for (const { name, status, header, body } of refusals) {
      const error = openaiChat.refusal('lab', status, header, body);
      assert.equal(error.code, expected[name], `${name}: ${error.message}`);
      assert.equal(error.details['upstreamStatus'], status);
      assert.ok(error.message.length < 400, name);
      assert.doesNotMatch(error.message, /sk-|[\n\r]/, name);
    }
  });
});
