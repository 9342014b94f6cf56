/**
 * Goal: what real servers sent over the Responses API, the Messages API and Ollama's own chat is read the same way however the network cuts it, and every early end
 * is one failure. Method: every recording against a second reading (reference-streams), in its recorded reads, split in two at every byte, byte by byte, and
 * cut off at every byte with a clean and with a broken end. Bodies above 2 KiB are sampled in their middle; SLOW=1 takes every byte.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MillraceError } from '../../../../src/errors.ts';
import { providers } from '../../../../src/protocol/providers/providers.ts';
import { decode } from '../../../support/decode.ts';
import { type Recording, recordings } from '../../../support/recordings.ts';
import { referenceStream } from '../../../support/reference-streams.ts';

const slow = process.env['SLOW'] !== undefined;
const kinds = [
  { name: 'openai-responses', asked: 'POST /v1/responses', least: 16 },
  { name: 'anthropic', asked: 'POST /v1/messages', least: 16 },
  { name: 'ollama', asked: 'POST /api/chat', least: 13 },
] as const;

const isStream = (it: Recording) =>
  it.status === 200 && /event-stream|ndjson/.test(it.header('content-type') ?? '');

/** All positions of short bodies; of longer ones both ends and a sample. */
function positions(length: number): number[] {
  const edge = slow || length <= 2048 ? length : 60;
  const found: number[] = [];
  for (let at = 0; at <= length; at++)
    if (at <= edge || at >= length - edge || at % 401 === 0) found.push(at);
  return found;
}

for (const { name, asked, least } of kinds) {
  const provider = providers[name];
  const all = recordings(asked);
  const streams = all.filter(isStream);
  const trace = (pieces: readonly Uint8Array[], cause?: MillraceError) =>
    decode(pieces, { provider, ...(cause ? { cause } : {}) }).sink.trace;

  describe(`${name}: a recorded stream`, () => {
    test('is there in every kind', () => {
      assert.ok(streams.length >= least, `${streams.length} of ${asked}`);
    });

    for (const { name: recording, body, reads } of streams) {
      const expected = referenceStream(name, body);

      test(`${recording} says the same whole, in its reads, byte by byte and split in two anywhere`, () => {
        assert.deepEqual(trace([body]), expected);
        assert.deepEqual(trace(reads), expected);
        assert.deepEqual(trace(Array.from(body, (byte) => Uint8Array.of(byte))), expected);
        for (const at of positions(body.length))
          assert.deepEqual(
            trace([body.subarray(0, at), body.subarray(at)]),
            expected,
            `split at ${at}`,
          );
      });

      test(`${recording} cut off anywhere ends once, and well only after its finish reason`, () => {
        const cause = new MillraceError('MILLRACE_UPSTREAM_RESET', {
          upstream: 'lab',
          reason: 'cut',
        });
        for (const at of positions(body.length)) {
          const cut = body.subarray(0, at);
          assert.deepEqual(trace([cut]), referenceStream(name, cut), `clean end at ${at}`);
          assert.deepEqual(
            trace([cut], cause),
            referenceStream(name, cut, cause.code),
            `broken at ${at}`,
          );
        }
      });
    }
  });

  test(`${name}: deltas of plain streams are read without parsing`, () => {
    for (const it of streams.filter((each) => each.name.endsWith('-plain'))) {
      const { sink, parsed } = decode(it.reads, { provider });
      assert.ok(sink.deltas > 5, it.name);
      assert.ok(parsed <= 14, `${it.name}: ${parsed} parsed, ${sink.deltas} deltas`);
    }
  });

  test(`${name}: a recorded body that is no stream is the whole answer`, () => {
    for (const { name: recording, body } of all.filter(
      (it) => it.status === 200 && !isStream(it),
    )) {
      const { sink } = decode([body], { provider });
      assert.match(
        sink.end ?? '',
        /^(stop|length|tool_calls)$/,
        `${recording}: ${sink.error?.message}`,
      );
      const said = sink.steps.map((step) => ('text' in step ? step.text : step.name)).join('');
      // Escapes of the server's own (\u00fc) read as the same text.
      const text = JSON.stringify(JSON.parse(Buffer.from(body).toString()));
      if (said !== '') assert.ok(text.includes(JSON.stringify(said).slice(1, -1)), recording);
      for (const at of positions(body.length)) {
        assert.deepEqual(trace([body.subarray(0, at), body.subarray(at)]), sink.trace, recording);
        // What is cut off is blank: the value was whole before.
        if (Buffer.from(body.subarray(at)).toString().trim() === '') continue;
        const cut = decode([body.subarray(0, at)], { provider }).sink;
        assert.equal(cut.end, 'MILLRACE_UPSTREAM_TRUNCATED', `${recording} cut at ${at}`);
      }
    }
  });

  test(`${name}: a recorded refusal is typed, short and without keys`, () => {
    for (const { name: recording, status, header, body } of all.filter((it) => it.status !== 200)) {
      const error = provider.refusal('lab', status, header, body);
      const expected =
        status >= 500 || status === 401 ? 'MILLRACE_UPSTREAM_STATUS' : 'MILLRACE_UPSTREAM_REJECTED';
      assert.equal(error.code, expected, `${recording}: ${error.message}`);
      assert.ok(error.message.length < 400, recording);
      assert.doesNotMatch(error.message, /sk-|[\n\r]/, recording);
    }
  });
}
