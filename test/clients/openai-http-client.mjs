// @ts-check
/**
 * What a program does with an OpenAI SDK over HTTP, the same for every version: it says what it saw as JSON lines, one per step, and the
 * test judges. Nothing here knows millrace.
 *
 * @param {any} OpenAI
 */
export async function run(OpenAI) {
  const [baseURL] = process.argv.slice(2);
  const client = new OpenAI({ apiKey: 'any', baseURL, maxRetries: 4 });
  const ask = { model: 'demo', input: '@echo größer 日本 🙂' };
  const messages = [{ role: 'user', content: ask.input }];

  const models = await client.models.list();
  const model = await client.models.retrieve('demo');
  say('models', { ids: models.data.map((/** @type {any} */ each) => each.id), id: model.id });

  const whole = await client.responses.create(ask);
  say('response', { text: whole.output_text, status: whole.status, usage: whole.usage });
  say('response stream', await responseStream(client, ask));

  const completion = await client.chat.completions.create({ model: 'demo', messages });
  const [choice] = completion.choices;
  say('completion', {
    text: choice.message.content,
    reason: choice.finish_reason,
    usage: completion.usage,
  });
  say('completion stream', await completionStream(client, messages));

  const parameters = { type: 'object', properties: { city: { type: 'string' } } };
  const prompt = '@tool weather {"city":"Köln"}';
  const called = await client.responses.create({
    model: 'demo',
    input: prompt,
    tools: [{ type: 'function', name: 'weather', parameters, strict: false }],
  });
  say('response tool', { calls: called.output });
  say('completion tool', await toolStream(client, prompt, parameters));

  say('aborted', await abortedStream(client));
  const refusal = { model: 'gpt-9', messages };
  say('refused', await failure(() => client.chat.completions.create(refusal), OpenAI));
  const doubled = { model: 'demo', messages, n: 2 };
  say('unsupported', await failure(() => client.chat.completions.create(doubled), OpenAI));
  const broken = { model: 'demo', messages: [{ role: 'user', content: '@fault reset-after=3' }] };
  say('broken', await failure(() => consume(client, broken), OpenAI));
  const impatient = new OpenAI({ apiKey: 'any', baseURL, maxRetries: 0 });
  const failing = { model: 'demo', messages: [{ role: 'user', content: '@fault status=500' }] };
  say('down', await failure(() => impatient.chat.completions.create(failing), OpenAI));
  const limited = { model: 'limited', messages };
  say('limited', await failure(() => impatient.chat.completions.create(limited), OpenAI));
  const patient = await client.chat.completions.create(limited);
  say('retried', { text: patient.choices[0].message.content });
}

/** @param {any} client @param {any} ask */
async function responseStream(client, ask) {
  const stream = await client.responses.create({ ...ask, stream: true });
  let text = '';
  const types = [];
  const numbers = [];
  for await (const event of stream) {
    types.push(event.type);
    numbers.push(event.sequence_number);
    if (event.type === 'response.output_text.delta') text += event.delta;
  }
  return { text, last: types.at(-1), contiguous: numbers.every((number, at) => number === at) };
}

/** @param {any} client @param {any} messages */
async function completionStream(client, messages) {
  const stream_options = { include_usage: true };
  const request = { model: 'demo', messages, stream: true, stream_options };
  let text = '';
  let reason;
  let usage;
  for await (const chunk of await client.chat.completions.create(request)) {
    text += chunk.choices[0]?.delta.content ?? '';
    reason = chunk.choices[0]?.finish_reason ?? reason;
    usage = chunk.usage ?? usage;
  }
  return { text, reason, usage };
}

/** The SDK's own accumulator judges the chunks of a call. @param {any} client @param {string} content @param {object} parameters */
async function toolStream(client, content, parameters) {
  const tools = [{ type: 'function', function: { name: 'weather', parameters } }];
  const messages = [{ role: 'user', content }];
  const runner = client.chat.completions.stream({ model: 'demo', messages, tools });
  const { choices } = await runner.finalChatCompletion();
  const [{ message, finish_reason }] = choices;
  const answered = await client.chat.completions.create({
    model: 'demo',
    tools,
    messages: [
      ...messages,
      message,
      { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'rain' },
      { role: 'user', content: '@echo so it rains' },
    ],
  });
  return {
    call: message.tool_calls[0].function,
    reason: finish_reason,
    text: answered.choices[0].message.content,
  };
}

/** @param {any} client */
async function abortedStream(client) {
  const messages = [{ role: 'user', content: '@tokens 5000\n@fault rate=50' }];
  const stream = await client.chat.completions.create({ model: 'demo', messages, stream: true });
  let chunks = 0;
  for await (const _ of stream) {
    if (++chunks === 5) stream.controller.abort();
  }
  return { chunks };
}

/** @param {any} client @param {any} request */
async function consume(client, request) {
  for await (const _ of await client.chat.completions.create({ ...request, stream: true }));
}

/** Which of the SDK's classes an error is, and what it carries. @param {() => Promise<unknown>} work @param {any} OpenAI */
async function failure(work, OpenAI) {
  try {
    await work();
    return { thrown: 'nothing' };
  } catch (/** @type {any} */ error) {
    const names = ['NotFoundError', 'BadRequestError', 'RateLimitError', 'InternalServerError'];
    const thrown = names.find((name) => error instanceof OpenAI[name]) ?? error.constructor.name;
    const { status, code, param, type } = error;
    const api = error instanceof OpenAI.APIError;
    return {
      thrown,
      api,
      status,
      code,
      param,
      type,
      retryAfter: error.headers?.get('retry-after'),
    };
  }
}

/** @param {string} step @param {object} what */
function say(step, what) {
  process.stdout.write(`${JSON.stringify({ step, ...what })}\n`);
}
