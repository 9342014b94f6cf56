/** Whether somebody could listen at an address now: the backends' own question, asked before they start. */
import { createServer } from 'node:http';

/** Undefined when the port is free; otherwise the code of the error (EADDRINUSE, EACCES, EADDRNOTAVAIL). The port is free again afterwards. */
export function probePort(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    const bare = host.replace(/^\[(.*)\]$/, '$1');
    server.listen({ host: bare, port, exclusive: true }, () =>
      server.close(() => resolve(undefined)),
    );
  });
}
