/** node examples/route/server.mjs, then: connect a WebSocket to ws://127.0.0.1:8080/summary and send {"question":"…"}. */
import { createEngine } from 'millrace';

const engine = createEngine({
  server: { port: Number(process.env.PORT ?? 8080) },
  // Simulated upstreams: no key needed. With real ones, name them in `upstreams`.
  demo: { enabled: true },
});
engine.route('/summary', new URL('./handler.mjs', import.meta.url));

const { url } = await engine.listen();
process.stdout.write(`${url}/summary\n`);
process.once('SIGTERM', () => void engine.close({ drain: true }));
process.once('SIGINT', () => void engine.close({ drain: true }));
