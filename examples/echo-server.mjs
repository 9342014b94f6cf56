// An echo of one's own: text comes back with a prefix, bytes as they are. Speak to it with any WebSocket client.
import { createEngine } from 'millrace';

const engine = createEngine({
  server: { port: Number(process.env.PORT ?? 8080) },
  admin: { enabled: false },
  log: { level: 'warn' },
});

engine.socket('/echo', {
  data: () => ({ messages: 0 }),
  async message(socket, message) {
    socket.data.messages++;
    await socket.send(typeof message === 'string' ? `Echo: ${message}` : message);
  },
  close: (socket, code) => console.log(`left with ${code} after ${socket.data.messages} messages`),
});

process.once('SIGTERM', () => engine.close({ drain: true }));
const { url } = await engine.listen();
console.log(`${url}/echo`);
