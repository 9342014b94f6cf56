// @ts-check
/**
 * An agent with a tool, over each transport of the Agents SDK; between its turns the socket hears events that this server has no use for.
 * Says what it saw as JSON lines; the test judges.
 */
import {
  Agent,
  OpenAIProvider,
  Runner,
  setTracingDisabled,
  tool,
  withResponsesWebSocketSession,
} from '@openai/agents';
import { WebSocket } from 'ws';
import { z } from 'zod';

const [baseURL] = process.argv.slice(2);
const websocketBaseURL = baseURL.replace('http:', 'ws:');
/** @type {WebSocket[]} */
const sockets = [];

/** Node 20 has no WebSocket of its own; this one takes headers as later ones do. */
class HeaderWebSocket extends WebSocket {
  /** @param {string} url @param {any} options */
  constructor(url, options) {
    super(url, [], { headers: options?.headers });
    sockets.push(this);
  }
}
Object.assign(globalThis, { WebSocket: HeaderWebSocket });
setTracingDisabled(true);

const asked = [];
const weather = tool({
  name: 'weather',
  description: 'Tells the weather',
  parameters: z.object({ city: z.string() }),
  async execute({ city }) {
    asked.push(city);
    // In the middle of the run: what other servers or later SDKs understand.
    for (const type of strangers) sockets.at(-1)?.send(JSON.stringify({ type, session: {} }));
    return `rain in ${city}`;
  },
});
const strangers = ['session.update', 'response.inject', 'input_audio_buffer.append', 'made.up'];

const agent = new Agent({ name: 'forecaster', model: 'demo', tools: [weather] });
const prompt = '@tool weather {"city":"Köln"}\n@echo so it rains';

/** @param {Runner} runner */
async function streamed(runner) {
  const run = await runner.run(agent, prompt, { stream: true });
  let deltas = 0;
  for await (const event of run)
    if (event.type === 'raw_model_stream_event' && event.data.type === 'output_text_delta')
      deltas++;
  await run.completed;
  return { text: run.finalOutput, deltas, asked: asked.splice(0) };
}

await withResponsesWebSocketSession(
  async ({ runner }) => {
    say('socket', await streamed(runner));
    const whole = await runner.run(agent, prompt);
    say('socket again', { text: whole.finalOutput, asked: asked.splice(0) });
    say('sockets', { count: sockets.length });
  },
  { providerOptions: { apiKey: 'any', baseURL, websocketBaseURL } },
);
for (const useResponses of [true, false]) {
  const modelProvider = new OpenAIProvider({ apiKey: 'any', baseURL, useResponses });
  const runner = new Runner({ modelProvider, tracingDisabled: true });
  const name = useResponses ? 'responses' : 'completions';
  say(`${name} stream`, await streamed(runner));
  const whole = await runner.run(agent, prompt);
  say(name, { text: whole.finalOutput, asked: asked.splice(0) });
}

/** @param {string} step @param {object} what */
function say(step, what) {
  process.stdout.write(`${JSON.stringify({ step, ...what })}\n`);
}
