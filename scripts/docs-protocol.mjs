// @ts-check
/** docs/PROTOCOL.md: what clients say and see, from the dialects' tables, with transcripts that the dialects themselves make. */

/** @type {typeof import('../src/protocol/dialects/dialects.ts')} */
const { dialects } = await import('../dist/src/protocol/dialects/dialects.js');
/** @type {typeof import('../src/protocol/dialects/responses/client-events.ts')} */
const client = await import('../dist/src/protocol/dialects/responses/client-events.js');
/** @type {typeof import('../src/protocol/dialects/responses/server-events.ts')} */
const server = await import('../dist/src/protocol/dialects/responses/server-events.js');
/** @type {typeof import('../src/protocol/dialects/chat/frames.ts')} */
const { chatFrames } = await import('../dist/src/protocol/dialects/chat/frames.js');
/** @type {typeof import('../src/protocol/dialects/completions/fields.ts')} */
const { completionFields } = await import('../dist/src/protocol/dialects/completions/fields.js');
/** @type {typeof import('../src/protocol/answer-head.ts')} */
const { decodeHead } = await import('../dist/src/protocol/answer-head.js');
/** @type {typeof import('../src/codec/negotiate.ts')} */
const negotiation = await import('../dist/src/codec/negotiate.js');
/** @type {typeof import('../src/errors.ts')} */
const { MillraceError } = await import('../dist/src/errors.js');

/** @type {Readonly<Record<import('../src/codec/negotiate.ts').RefusalReason, string>>} */
const refusals = {
  unknown: 'No encoding has that name.',
  off: 'The operator grants none (`compression.enabled`).',
  dialect: 'What this path carries is no text of a dialect.',
  source: 'Nothing on this machine serves it (`millrace doctor` says why).',
  dictionary: 'No dictionary of this dialect has that hash.',
};

const bounds = { historyBytesMax: 1 << 20, outputBytesMax: 1 << 20, lanesMax: 32 };
const models = { has: (/** @type {string} */ model) => model === 'demo', names: ['demo'] };
const seed = { nonce: new Uint8Array(16).fill(77), owner: 0, generation: 1, tag: 7 };

/** What stands in an event of a response object besides what it is about. @param {any} event */
function shortened(event) {
  if (event.response === undefined) return event;
  const { id, status, error, output, usage, x_millrace } = event.response;
  const response = { id, status, error: error ?? undefined, output, usage, x_millrace, '…': '…' };
  return { ...event, response };
}

/**
 * @param {'responses' | 'chat'} name
 * @param {object} message
 * @param {(encoder: import('../src/protocol/dialect.ts').Encoder, say: (text: string) => void) => void} script
 */
function transcript(name, message, script) {
  /** @type {string[]} */
  const lines = [`→ ${JSON.stringify(message)}`];
  const show = (/** @type {Uint8Array} */ bytes) => {
    const event = JSON.parse(Buffer.from(bytes).toString());
    lines.push(`← ${JSON.stringify(shortened(event))}`);
  };
  const conversation = dialects[name].conversation(bounds, models);
  const bytes = Buffer.from(JSON.stringify(message));
  const command = conversation.decode({ bytes, binary: false, seed, arrivedMs: 1_790_000_000_000 });
  if (command.kind === 'reply') command.frames.forEach(show);
  if (command.kind === 'turn') {
    const out = {
      frame: (/** @type {Uint8Array} */ all, /** @type {number} */ length) =>
        show(all.subarray(0, length)),
    };
    const opening = conversation.begin(command.turn, out);
    if (opening.kind === 'answer') opening.frames.forEach(show);
    else {
      const { encoder } = opening;
      encoder.from('simulated');
      script(encoder, (text) => {
        const escaped = Buffer.from(JSON.stringify(text).slice(1, -1));
        encoder.delta(0, 0, escaped, 0, escaped.length);
      });
    }
  }
  return ['```text', ...lines, '```'].join('\n');
}

/**
 * One HTTP request and its answer, long objects cut.
 *
 * @param {'responses-http' | 'completions'} name
 * @param {string} path
 * @param {object} body
 * @param {(encoder: import('../src/protocol/dialect.ts').Encoder, say: (text: string) => void) => void} script
 */
function exchange(name, path, body, script) {
  const lines = [`→ POST ${path}`, `→ ${JSON.stringify(body)}`];
  let begun = false;
  const show = (/** @type {Uint8Array} */ bytes) => {
    let rest = Buffer.from(bytes);
    if (!begun) {
      const { head, body: first } = decodeHead(rest);
      lines.push(`← ${head.status} ${head.headers['content-type']}`);
      if (head.headers['retry-after']) lines.push(`← retry-after: ${head.headers['retry-after']}`);
      rest = first;
      begun = true;
    }
    for (const line of rest.toString().split('\n'))
      if (line !== '') lines.push(`← ${line.length > 150 ? `${line.slice(0, 150)} …` : line}`);
  };
  const conversation = dialects[name].conversation(bounds, models);
  const bytes = Buffer.from(JSON.stringify(body));
  const command = conversation.decode({ bytes, binary: false, seed, arrivedMs: 1_790_000_000_000 });
  if (command.kind === 'reply') command.frames.forEach(show);
  if (command.kind === 'turn') {
    const out = {
      frame: (/** @type {Uint8Array} */ all, /** @type {number} */ length) =>
        show(all.subarray(0, length)),
    };
    const opening = conversation.begin(command.turn, out);
    if (opening.kind === 'run') {
      const { encoder } = opening;
      encoder.from('simulated');
      script(encoder, (text) => {
        const escaped = Buffer.from(JSON.stringify(text).slice(1, -1));
        encoder.delta(0, 0, escaped, 0, escaped.length);
      });
    }
  }
  return ['```text', ...lines, '```'].join('\n');
}

const hello = { model: 'demo', messages: [{ role: 'user', content: 'Say hello.' }] };
const usage = { inputTokens: 9, cachedTokens: 0, outputTokens: 3, reasoningTokens: 0 };
const create = { type: 'response.create', stream_id: 'a', model: 'demo', input: 'Say hello.' };

/** @param {(head: readonly string[], rows: readonly (readonly unknown[])[]) => string} table */
function httpParts(table) {
  return [
    '## HTTP: `POST /v1/responses`, `POST /v1/chat/completions`',
    'The same answers where a WebSocket does not get through, and for the first call of any SDK: as Server-Sent Events with `"stream": true`, otherwise as one object. ' +
      'Each request is a session of its own, with the limits, the failover and the metrics of any other; leaving the connection cancels it.',
    'Until the first content a failure is an HTTP status with OpenAI’s error body, and `Retry-After` where waiting helps; `x-should-retry: false` where it does not. ' +
      'After it a stream ends in `response.failed`, or for completions in `data: {"error":…}` without `[DONE]`; an answer in one object is a status to its end. ' +
      'A stream that is silent for `stream.keepAliveMs` gets the comment line `: ping`; before the first content that fixes the status at 200. ' +
      'The body is `application/json` of at most `server.messageBytesMax` bytes, not compressed. Pages of `server.allowedOrigins` may read the answers (CORS).',
    '`POST /v1/responses` takes the fields above but for `previous_response_id`, `stream_id` and `generate: false`: nothing is kept between requests, and `store` is said back as false. ' +
      'Its events are those of the WebSocket, each named in an `event:` line.',
    exchange(
      'responses-http',
      '/v1/responses',
      { model: 'demo', input: 'Say hello.', stream: true },
      (encoder, say) => {
        say('Hello');
        encoder.usage(usage);
        encoder.finish('stop');
      },
    ),
    '### Fields of a chat completion',
    'Refused ones name themselves in the error. Any other field is tolerated and has no effect.',
    table(
      ['field', 'use', 'meaning'],
      completionFields.map((each) => [`\`${each.name}\``, each.use, each.text]),
    ),
    'What a model thinks comes as `reasoning_content`, where the upstream shows it. The last chunk, and the object, carry `x_millrace` with the upstream.',
    exchange('completions', '/v1/chat/completions', { ...hello, stream: true }, (encoder, say) => {
      say('Hello');
      encoder.finish('stop');
    }),
    exchange('completions', '/v1/chat/completions', hello, (encoder) => {
      encoder.fail(new MillraceError('MILLRACE_UPSTREAM_NONE', { model: 'demo' }));
    }),
  ];
}

/** @param {(head: readonly string[], rows: readonly (readonly unknown[])[]) => string} table */
export function protocolParts(table) {
  const code = (/** @type {string} */ text) => `\`${text}\``;
  const list = (/** @type {readonly string[]} */ names) => names.map(code).join(', ');
  return [
    'What clients say and see on each path. Frames are text messages with one JSON object each.',
    '## Keys and tickets',
    'Where keys are asked for, a client shows one at the upgrade and with every plain request: `Authorization: Bearer KEY`, or from a browser the subprotocol ' +
      '`openai-insecure-api-key.KEY`. `POST /v1/tickets` (`tickets.path`) with a key answers a ticket, which opens one connection within its time as `?ticket=TICKET`:',
    `\`\`\`\n→ POST /v1/tickets  Authorization: Bearer KEY\n← ${JSON.stringify({ ticket: 'mt_…', expires_at: 1_790_000_030 })}\n\`\`\``,
    'A refusal is an HTTP answer with an error object; its status and codes are in [ERRORS.md](ERRORS.md). A key that goes while a connection is open ends it with 1008.',
    '## Encodings',
    'A client of `/v1/responses`, `/chat` or a dialect of your own may have its messages compressed. It says what it would like, best first, in the query ' +
      '(`?encoding=zstd+dict,gzip`) or, as browsers can, by subprotocols (`millrace.encoding.zstd+dict`; the one that is granted is answered exactly so, and ' +
      '`millrace.encoding.identity` as the last one keeps a browser from failing when none is). From then on, in both directions: **a text message is as it is; a binary message is one ' +
      'text message, compressed**. Nobody has to compress: short messages (`compression.minCompressSize`), and those that would grow, go as text.',
    table(
      ['encoding', 'what a binary message is'],
      [
        [code('gzip'), 'RFC 1952; several members are one message'],
        [code('deflate'), 'the zlib format, RFC 1950'],
        [code('brotli'), 'RFC 7932'],
        [code('zstd'), 'RFC 8878; several frames are one message'],
        [
          code('zstd+dict'),
          'a zstd frame made with the dictionary of the dialect: also single tokens become smaller',
        ],
      ],
    ),
    `The answer to the upgrade says what came of it: \`${negotiation.ENCODING_HEADER}: zstd+dict; dictionary=HASH\`, or \`identity; refused=REASON\`, where the reason is the first wish's:`,
    table(
      ['reason', 'meaning'],
      negotiation.refusalReasons.map((reason) => [code(reason), refusals[reason]]),
    ),
    '`GET /dictionaries` lists the dictionaries (`dialect`, `version`, `hash`, `path`); `GET /dictionaries/HASH` is the bytes, whose SHA-256 is the hash, for ever the same. ' +
      'A client that keeps one asks for it by the first 16 digits or more (`zstd+dict.92b50422f1c41440`); without, it gets the newest. ' +
      'What a client sends compressed may become as long as any message (`server.messageBytesMax`); beyond that, and where it is no such data, the message is answered with an error, and the session goes on.',
    '## `/v1/responses`',
    "OpenAI's Responses API in its WebSocket mode: the official SDKs speak it as it is. A lane (`stream_id`) runs one response at a time, in order; " +
      'lanes run beside each other, and every event of a named lane says its `stream_id`. `previous_response_id` continues a response of the same connection: ' +
      'with `store` (the default) any that is still remembered, with `store: false` the latest of each lane. What is remembered has a bound (`session.historyBytesMax`).',
    '### What a client sends',
    table(
      ['event', 'fields', 'what it does'],
      client.responsesClientEvents.map((each) => [code(each.type), list(each.fields), each.text]),
    ),
    '### Fields of `response.create`',
    'Used: for the request. Echoed: said back in the response object. Any other field is tolerated and has no effect.',
    table(
      ['field', 'use', 'meaning'],
      client.responsesCreateFields.map((each) => [code(each.name), each.use, each.text]),
    ),
    '### What a client gets',
    table(
      ['event', 'fields', 'when'],
      server.responsesServerEvents.map((each) => [code(each.type), list(each.fields), each.text]),
    ),
    '### An answer',
    'The response objects are shortened.',
    transcript('responses', create, (encoder, say) => {
      say('Hello');
      say(', "world".');
      encoder.usage(usage);
      encoder.finish('stop');
    }),
    '### An answer that its upstream broke off',
    transcript('responses', { ...create, stream_id: undefined }, (encoder, say) => {
      say('Hel');
      encoder.fail(new MillraceError('MILLRACE_UPSTREAM_TRUNCATED', { upstream: 'simulated' }));
    }),
    '### A refused request',
    'Codes and statuses stand in [ERRORS.md](ERRORS.md). `param` is the path of the field. Where waiting helps, `error.headers` says how long, as HTTP would.',
    transcript('responses', { ...create, temperature: 9 }, () => {}),
    ...httpParts(table),
    '## `/proxy`',
    'Served where an upstream has `provider: websocket`: the session is carried on to one of these back ends, which alone says what the messages mean. Text and binary messages pass both ways ' +
      'as they are, whole and in order, up to `server.messageBytesMax` from the client and `proxy.messageBytesMax` from the back end. The back end is asked for as soon as the session is open, ' +
      'before the client has said anything; what the client says until then waits for it.',
    'A client is answered the first subprotocol it offers that `proxy.protocols` names; that one alone is offered to the back end. Its path, query and headers are not passed on. Pings are answered on each side by itself. ' +
      'Where no back end has room, the session waits for one (`pool.waitTimeoutMs`).',
    'Until its back end has said its first word, a session outlives the loss of it: another one hears all that the client has said, once more. Afterwards it ends with its back end. How it ends:',
    table(
      ['close code', 'meaning'],
      [
        [
          'as the back end said',
          'the back end has closed, with its reason; 1000 where it gave none',
        ],
        [code('1001'), 'neither side said anything for `proxy.idleTimeoutMs`'],
        [code('1009'), 'the back end sent a message above its bound'],
        [
          code('1012'),
          'come again: the gateway stops, its worker was lost, or the session lasted `proxy.sessionMsMax`',
        ],
        [
          code('1013'),
          'come again later: no back end takes a connection now, or it reads nothing for `proxy.stallTimeoutMs`',
        ],
        [
          code('1014'),
          'the back end was lost after its first word, or every one that was asked before it',
        ],
      ],
    ),
    '## `/chat`',
    "The guide's chat: one conversation for each connection, remembered up to `session.historyBytesMax`, the oldest exchanges go first.",
    table(
      ['from', 'frame', 'meaning'],
      chatFrames.map((each) => [each.from, code(each.shape), each.text]),
    ),
    transcript('chat', { message: 'Say hello.' }, (encoder, say) => {
      say('Hello');
      say('!');
      encoder.usage(usage);
      encoder.finish('stop');
    }),
  ];
}
