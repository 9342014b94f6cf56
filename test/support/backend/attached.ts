/** The attached backend under the suite: a server as an application makes it, with nothing of its own. */
import { createServer } from 'node:http';
import type { Backend } from '../../../src/main/backend/backend.ts';
import { attachedBackend } from '../../../src/main/backend/ws-attach.ts';

export function createAttachedBackend(): Backend {
  return {
    name: 'ws',
    version: 'attached',
    async listen(options, handlers) {
      const server = createServer();
      const all = { socket: () => true, plain: () => true };
      const attached = await attachedBackend(server, all).listen(options, handlers);
      server.on('request', (request, response) => void attached.handle(request, response));
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: options.host, port: options.port }, resolve);
      });
      const { address, port } = server.address() as { address: string; port: number };
      return {
        host: address,
        port,
        unlisten: () => attached.unlisten(),
        async close() {
          await attached.close();
          server.closeAllConnections();
          await new Promise((resolve) => server.close(resolve));
        },
      };
    },
  };
}
