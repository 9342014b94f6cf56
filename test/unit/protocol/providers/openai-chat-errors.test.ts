/** Goal: a refusal becomes the failure that says where trying again helps, how long to wait, and why; never a key. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MillraceError } from '../../../../src/errors.ts';
import { openaiChat } from '../../../../src/protocol/providers/openai-chat.ts';
import { bytesOf, chunkOf, eventsOf, run, stop, text } from '../../../support/decode.ts';

function refuse(
  status: number,
  body: unknown = '',
  headers: Record<string, string> = {},
  apiKey?: string,
): MillraceError {
  const bytes = bytesOf(typeof body === 'string' ? body : JSON.stringify(body));
  return openaiChat.refusal('lab', status, (name) => headers[name], bytes, apiKey);
}

describe('the status decides where trying again helps', () => {
  const codes: Record<string, readonly number[]> = {
    MILLRACE_UPSTREAM_LIMITED: [429, 529],
    MILLRACE_UPSTREAM_STATUS: [
      100, 301, 307, 401, 402, 403, 407, 408, 409, 423, 425, 500, 502, 503, 504, 520, 599,
    ],
    MILLRACE_UPSTREAM_REJECTED: [400, 404, 405, 413, 414, 415, 422, 431, 451],
    MILLRACE_UPSTREAM_MALFORMED: [200, 204],
  };
  const retry: Record<string, string> = {
    MILLRACE_UPSTREAM_LIMITED: 'elsewhere',
    MILLRACE_UPSTREAM_STATUS: 'elsewhere',
    MILLRACE_UPSTREAM_REJECTED: 'never',
    MILLRACE_UPSTREAM_MALFORMED: 'elsewhere',
  };
  for (const [code, statuses] of Object.entries(codes))
    for (const status of statuses)
      test(`${status}: ${code}`, () => {
        const error = refuse(status, { error: { message: 'm' } });
        assert.equal(error.code, code);
        assert.equal(error.failure.retry, retry[code]);
        assert.match(error.message, /^upstream lab /);
      });

  test('an empty quota is no reason to wait', () => {
    const error = refuse(429, { error: { message: 'pay', type: 'insufficient_quota' } });
    assert.equal(error.code, 'MILLRACE_UPSTREAM_STATUS');
    assert.match(error.message, /429: pay/);
  });
});

describe('the wait', () => {
  const day = 24 * 3600 * 1000;
  const date = 'Mon, 23 Nov 2026 10:00:00 GMT';
  const cases: Record<string, [Record<string, string>, number]> = {
    'is a second when nothing says more': [{}, 1_000],
    'is what retry-after-ms says': [{ 'retry-after-ms': '250', 'retry-after': '7' }, 250],
    'is what Retry-After says in seconds': [{ 'retry-after': '7' }, 7_000],
    'may be a fraction of a second': [{ 'retry-after': '0.25' }, 250],
    'may be none': [{ 'retry-after': '0' }, 0],
    'may be none in milliseconds': [{ 'retry-after-ms': '0', 'retry-after': '7' }, 0],
    'may be none by the date': [{ 'retry-after': date, date }, 0],
    'may be a date, read against the date of the response': [
      { 'retry-after': 'Mon, 23 Nov 2026 10:00:30 GMT', date },
      30_000,
    ],
    'is a second for a date without a date to read it against': [
      { 'retry-after': 'Mon, 23 Nov 2026 10:00:30 GMT' },
      1_000,
    ],
    'is a second for a date gone by': [
      { 'retry-after': 'Mon, 23 Nov 2026 09:00:30 GMT', date },
      1_000,
    ],
    'is a second for nonsense': [{ 'retry-after': 'soon', 'retry-after-ms': 'x' }, 1_000],
    'is a second for less than nothing': [{ 'retry-after': '-5' }, 1_000],
    'is not a blank': [{ 'retry-after': ' ' }, 1_000],
    'is until the empty bucket is full': [
      {
        'x-ratelimit-remaining-requests': '0',
        'x-ratelimit-reset-requests': '12ms',
        'x-ratelimit-remaining-tokens': '5',
        'x-ratelimit-reset-tokens': '6m0s',
      },
      12,
    ],
    'is until the slower bucket is full when none is said to be empty': [
      { 'x-ratelimit-reset-requests': '1.5s', 'x-ratelimit-reset-tokens': '1m2s' },
      62_000,
    ],
    'counts hours': [{ 'x-ratelimit-reset-requests': '1h0m1s' }, 3_601_000],
    'is a second for a reset that is no duration': [
      { 'x-ratelimit-reset-requests': 'tomorrow' },
      1_000,
    ],
    'is a day at most': [{ 'retry-after': '1e12' }, day],
    'is a day at most, for ever too': [{ 'retry-after': 'Infinity' }, day],
    'is whole milliseconds': [{ 'retry-after-ms': '0.2' }, 1],
  };
  for (const [name, [headers, waitMs]] of Object.entries(cases))
    test(name, () => assert.equal(refuse(429, '', headers).details['waitMs'], waitMs));
});

describe('the reason', () => {
  const reason = (body: unknown, apiKey?: string) =>
    refuse(400, body, {}, apiKey).details['reason'];

  test("is the upstream's own sentence, in whichever form it came", () => {
    for (const body of [
      { error: { message: 'too long' } },
      { error: 'too long' },
      { message: 'too long' },
      { detail: 'too long' },
      { object: 'error', message: 'too long', code: 400 },
      [{ error: { message: 'too long' } }],
      'too long',
      ' too\r\n\tlong\u2028\u0000 ',
    ])
      assert.equal(reason(body), 'too long', JSON.stringify(body));
    assert.equal(reason({ detail: [{ msg: 'field required' }] }), '[{"msg":"field required"}]');
  });

  test('is never empty', () => {
    for (const body of ['', '   ', '\n', '\u2028']) assert.equal(reason(body), 'no reason given');
    assert.equal(
      reason({ error: { message: '', detail: null } }),
      '{"error":{"message":"","detail":null}}',
    );
  });

  test('is bounded', () => {
    for (const body of ['x y '.repeat(20_000), { error: { message: 'x y '.repeat(20_000) } }]) {
      const said = String(reason(body));
      assert.equal(said.length, 300);
      assert.ok(said.endsWith('…'));
    }
    assert.equal(reason('x y '.repeat(74) + 'x yz'), 'x y '.repeat(74) + 'x yz', 'exactly 300');
    assert.equal(String(reason('ab '.repeat(100).trim())).length, 299);
  });

  test('holds no key: neither ours, nor whatever looks like one', () => {
    const keys = [
      'sk-proj-abcdEFGH1234567890',
      'sk-ant-api03-xyz_123',
      'sk-abc***************def',
      'gsk_abcdefgh12345',
      'hf_abcdefgh12345',
      'xai-abcdefgh12345',
      'AIzaSyA1234567890abcdefg',
      'Bearer abcdef',
      'bearer   eyJhbGciOi.J9.x-y_z',
      '0123456789abcdef0123456789abcdef',
      'QWxhZGRpbjpvcGVuIHNlc2FtZQQWxhZGRpbjpv==',
    ];
    for (const key of keys) {
      const said = String(
        reason({ error: { message: `Incorrect API key provided: ${key}, see the site` } }),
      );
      assert.ok(said.startsWith('Incorrect API key provided: ***'), `${key}: ${said}`);
      for (const part of key.split(/\s+/).slice(-1))
        assert.ok(!said.includes(part.slice(-8)), said);
    }
    assert.equal(reason('the key hunter2 is wrong', 'hunter2'), 'the key *** is wrong');
    assert.equal(reason('nothing is quoted', ''), 'nothing is quoted');
  });

  test('says nothing at all of what a refused key was', () => {
    for (const status of [401, 403]) {
      const error = refuse(status, { error: { message: 'key hunter2 is unknown' } });
      assert.doesNotMatch(error.message, /hunter2/);
    }
  });

  test('leaves ordinary words alone', () => {
    for (const words of [
      'model gpt-4o-mini-2024-07-18 is not here',
      'task-force skipped, risk-averse',
      'api_key or api-version is missing in the key-value list',
      "Field 'max_tokens': type must be number",
    ])
      assert.equal(reason(words), words);
  });

  test('of a 200 without a stream names the content type', () => {
    const error = refuse(200, '<html>', { 'content-type': 'text/html' });
    assert.match(error.message, /status 200 with content type text\/html/);
  });

  test('is found in bytes that are no text too', () => {
    const error = openaiChat.refusal('lab', 400, () => undefined, Uint8Array.of(0xff, 0xfe, 0x00));
    assert.equal(error.code, 'MILLRACE_UPSTREAM_REJECTED');
  });
});

describe('an error inside the stream', () => {
  const cases: Record<string, [string, string, RegExp]> = {
    'an error object': [
      eventsOf({
        error: { code: 500, message: 'Context size has been exceeded.', type: 'server_error' },
      }),
      'MILLRACE_UPSTREAM_ERROR',
      /Context size has been exceeded/,
    ],
    'a code in words': [
      eventsOf({ error: { code: '500', message: 'm', type: null } }),
      'MILLRACE_UPSTREAM_ERROR',
      /m$/,
    ],
    'an error that is a string': [
      eventsOf({ error: 'went wrong' }),
      'MILLRACE_UPSTREAM_ERROR',
      /went wrong/,
    ],
    'the flat form of vLLM': [
      eventsOf({ object: 'error', message: 'too long', type: 'BadRequestError', code: 400 }),
      'MILLRACE_UPSTREAM_REJECTED',
      /too long/,
    ],
    'an event called error': [
      'event: error\ndata: {"message":"busy"}\n\n',
      'MILLRACE_UPSTREAM_ERROR',
      /busy/,
    ],
    'an event called error that is not JSON': [
      'event: error\ndata: busy\n\n',
      'MILLRACE_UPSTREAM_ERROR',
      /busy/,
    ],
    'a field called error': [
      'error: {"code":500,"message":"busy"}\n\ndata: [DONE]\n\n',
      'MILLRACE_UPSTREAM_ERROR',
      /busy/,
    ],
    'a finish reason called error': [
      eventsOf(chunkOf({ content: '' }, 'error')),
      'MILLRACE_UPSTREAM_ERROR',
      /error/,
    ],
    'a rate limit': [
      eventsOf({
        error: { message: 'slow down', type: 'rate_limit_error', code: 'rate_limit_exceeded' },
      }),
      'MILLRACE_UPSTREAM_LIMITED',
      /limits the rate/,
    ],
    'a rate limit by its number in words': [
      eventsOf({ error: { message: 'slow down', code: '429' } }),
      'MILLRACE_UPSTREAM_LIMITED',
      /limits the rate/,
    ],
    'a request that is wrong by its number': [
      eventsOf({ error: { message: 'bad', code: 422 } }),
      'MILLRACE_UPSTREAM_REJECTED',
      /\(422\): bad/,
    ],
    'a request that is wrong by its number in words': [
      eventsOf({ error: { message: 'bad', code: '413' } }),
      'MILLRACE_UPSTREAM_REJECTED',
      /\(413\): bad/,
    ],
    'an empty quota': [
      eventsOf({
        error: { message: 'pay', type: 'insufficient_quota', code: 'insufficient_quota' },
      }),
      'MILLRACE_UPSTREAM_ERROR',
      /pay/,
    ],
    'a request that is too long': [
      eventsOf({ error: { message: 'too long', code: 'context_length_exceeded' } }),
      'MILLRACE_UPSTREAM_REJECTED',
      /too long/,
    ],
    'a request that is wrong by its type alone': [
      eventsOf({ error: { message: 'bad', type: 'invalid_request_error' } }),
      'MILLRACE_UPSTREAM_REJECTED',
      /bad/,
    ],
    'a request that is wrong': [
      eventsOf({
        error: {
          message: 'too long',
          type: 'invalid_request_error',
          code: 'context_length_exceeded',
        },
      }),
      'MILLRACE_UPSTREAM_REJECTED',
      /too long/,
    ],
  };
  for (const [name, [body, code, words]] of Object.entries(cases)) {
    test(`${name}: ${code}`, () => {
      const first = run(body).sink;
      assert.equal(first.end, code);
      assert.match(first.error?.message ?? '', words);
      const later = run(
        `${eventsOf(chunkOf({ content: 'a' }))}${body}${eventsOf(chunkOf({ content: 'b' }), stop)}`,
      ).sink;
      assert.equal(later.end, code);
      assert.deepEqual(later.steps, [text('a')]);
    });
  }

  test('is quoted in one line, bounded, and without keys', () => {
    const message = `bad key sk-proj-abcdef123456\r\nAuthorization: Bearer hunter2 ${'x'.repeat(5_000)}`;
    const { sink } = run(eventsOf({ error: { message } }));
    const said = sink.error?.message ?? '';
    assert.ok(said.length < 400);
    assert.doesNotMatch(said, /sk-proj|abcdef|hunter2|[\r\n]/);
  });
});
