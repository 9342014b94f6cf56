/** The server implementations under test, and a server with everything it told written down. */
import type { TestContext } from 'node:test';
import type {
  Backend,
  BackendHandlers,
  Connection,
  Listening,
  ListenOptions,
} from '../../../src/main/backend/backend.ts';
import { createUwsBackend } from '../../../src/main/backend/uws.ts';
import { loadNative } from '../../../src/main/backend/uws-module.ts';
import { createWsBackend } from '../../../src/main/backend/ws.ts';

export interface Implementation {
  readonly label: string;
  readonly name: 'uws' | 'ws';
  readonly create: () => Backend;
  /** A core that names the rule a peer broke, and checks what a request says. */
  readonly modern: boolean;
  /** Why it cannot run here: its tests are reported as skipped with this reason. */
  readonly missing?: string;
}

export const implementations: readonly Implementation[] = [
  { label: 'ws', name: 'ws', create: createWsBackend, modern: true },
  uws('uWebSockets.js 20.57', 'uWebSockets.js', true),
  uws('uWebSockets.js 20.30', 'uws-glibc227', false),
];

function uws(label: string, packageName: string, modern: boolean): Implementation {
  try {
    const { module, version } = loadNative(packageName, import.meta.url);
    return { label, name: 'uws', create: () => createUwsBackend(module, version), modern };
  } catch (error) {
    const missing = `its native file does not load here: ${String(error).slice(0, 300)}`;
    return { label, name: 'uws', create: createWsBackend, modern, missing };
  }
}

export const silent: ListenOptions = {
  host: '127.0.0.1',
  port: 0,
  messageBytesMax: 1024 * 1024,
  bodyBytesMax: 1000,
  reusePort: false,
};

export interface Served {
  readonly port: number;
  readonly url: string;
  readonly listening: Listening;
  readonly connections: Connection[];
  readonly messages: { readonly text: string; readonly binary: boolean }[];
  readonly closes: { readonly connection: Connection; code: number; reason: string }[];
  readonly faults: { readonly error: unknown; readonly where: string }[];
  readonly counts: { drain: number; alive: number };
}

/** Echoes, unless `handlers` say otherwise; what they leave out is only written down. Closed when the test ends. */
export async function serve(
  t: TestContext,
  implementation: Implementation,
  handlers: Partial<BackendHandlers> = {},
  options: Partial<ListenOptions> = {},
): Promise<Served> {
  const log = {
    connections: [] as Connection[],
    messages: [] as { text: string; binary: boolean }[],
    closes: [] as { connection: Connection; code: number; reason: string }[],
    faults: [] as { error: unknown; where: string }[],
    counts: { drain: 0, alive: 0 },
  };
  const all: BackendHandlers = {
    upgrade: handlers.upgrade ?? (() => ({ accept: true, user: undefined })),
    open(connection) {
      log.connections.push(connection);
      handlers.open?.(connection);
    },
    message(connection, bytes, binary) {
      if (handlers.message) handlers.message(connection, bytes, binary);
      else {
        log.messages.push({ text: Buffer.from(bytes).toString('latin1'), binary });
        connection.send(bytes, binary);
      }
    },
    drain(connection) {
      log.counts.drain++;
      handlers.drain?.(connection);
    },
    alive(connection) {
      log.counts.alive++;
      handlers.alive?.(connection);
    },
    close(connection, code, reason) {
      log.closes.push({ connection, code, reason });
      handlers.close?.(connection, code, reason);
    },
    ...(handlers.stream ? { stream: handlers.stream } : {}),
    http: handlers.http ?? (() => ({ status: 200, headers: {}, body: 'plain' })),
    fault: (error, where) => log.faults.push({ error, where }),
  };
  const listening = await implementation.create().listen({ ...silent, ...options }, all);
  t.after(() => listening.close());
  const { port } = listening;
  return { ...log, port, url: `ws://127.0.0.1:${port}/ws`, listening };
}
