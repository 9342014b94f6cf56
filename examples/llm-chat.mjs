// A chat over the plain JSON protocol: node examples/llm-chat.mjs "Why do rivers bend?"
// Answers come from UPSTREAM_URL (any OpenAI-compatible API, with UPSTREAM_KEY and MODEL), or are simulated and say so.
import { createEngine } from 'millrace';
import { WebSocket } from 'ws';

const { UPSTREAM_URL: url, UPSTREAM_KEY: apiKey, MODEL: model = 'demo' } = process.env;
const engine = createEngine({
  server: { port: 0 },
  admin: { enabled: false },
  log: { level: 'warn' },
  ...(url
    ? { upstreams: [{ name: 'mine', url, apiKey, models: [model] }] }
    : { demo: { enabled: true } }),
});

const address = await engine.listen();
const socket = new WebSocket(`${address.url}/chat`);
socket.on('open', () =>
  socket.send(JSON.stringify({ message: process.argv[2] ?? 'Hello!', model })),
);
socket.on('message', async (bytes) => {
  const { content, done, error } = JSON.parse(bytes);
  process.stdout.write(content);
  if (!done) return;
  process.stdout.write(error ? `\n${error.message}\n` : '\n');
  await engine.close({ drain: true });
});
