// millrace on the server of an application: its WebSockets beside the application's pages, its counters in the application's registry.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createEngine } from 'millrace';
import { Registry } from 'prom-client';

const registry = new Registry();
const engine = createEngine({
  admin: { enabled: false },
  log: { level: 'warn' },
  demo: { enabled: true },
});
engine.metrics.register(registry);

const server = createServer(async (request, response) => {
  if (millrace.handle(request, response)) return;
  if (request.url === '/metrics') {
    response.setHeader('content-type', registry.contentType);
    response.end(await registry.metrics());
  } else response.end('the application\n');
});
const millrace = await engine.attach(server);

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1');
await once(server, 'listening');
console.log(`http://127.0.0.1:${server.address().port}`);

process.once('SIGTERM', async () => {
  await engine.close({ drain: true });
  server.close();
});
