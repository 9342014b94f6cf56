/** The server implementations under test, and a server with everything it told written down. */
import http from 'node:http';
import https from 'node:https';
import type { TestContext } from 'node:test';
import type {
  Backend,
  BackendHandlers,
  Connection,
  Listening,
  ListenOptions,
} from '../../../src/main/backend/backend.ts';
import type { TlsMaterial } from '../../../src/main/backend/tls-material.ts';
import { createUwsBackend } from '../../../src/main/backend/uws.ts';
import { loadNative } from '../../../src/main/backend/uws-module.ts';
import { createWsBackend } from '../../../src/main/backend/ws.ts';
import { securePorts } from '../raw-client.ts';
import { createAttachedBackend } from './attached.ts';
import { createMemoryBackend, memoryUrl } from './in-memory.ts';

export interface Implementation {
  readonly label: string;
  readonly name: 'uws' | 'ws';
  readonly create: () => Backend;
  /** A core that names the rule a peer broke, and checks what a request says. */
  readonly modern: boolean;
  /** It listens with these certificates. */
  readonly tls?: TlsMaterial;
  /** The suites whose clients it can have; absent: all. */
  readonly suites?: readonly string[];
  /** Why it cannot run here: its tests are reported as skipped with this reason. */
  readonly missing?: string;
}

export const implementations: readonly Implementation[] = [
  { label: 'ws', name: 'ws', create: createWsBackend, modern: true },
  {
    label: 'a server of the application',
    name: 'ws',
    create: createAttachedBackend,
    modern: true,
    // That server listens for itself.
    suites: ['sending', 'messages', 'closing', 'faults', 'handshakes', 'http', 'streams', 'floods'],
  },
  uws('uWebSockets.js 20.57', 'uWebSockets.js', true),
  uws('uWebSockets.js 20.30', 'uws-glibc227', false),
];

/** Those that listen for themselves, and so speak TLS and read PROXY headers. */
export const listeners = implementations.filter(({ suites }) => suites === undefined);

/** No bytes on a wire: most suites cannot look at it. */
export const inMemory: Implementation = {
  label: 'memory',
  name: 'ws',
  create: createMemoryBackend,
  modern: true,
  suites: ['sending'],
};

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
  /** `http://127.0.0.1:4711` */
  readonly http: string;
  /** node:http or node:https. */
  readonly client: typeof http;
  /** The same host by another name. */
  at(host: string): string;
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
  const { tls } = implementation;
  const full = { ...silent, ...(tls && { tls }), ...options };
  const listening = await implementation.create().listen(full, all);
  const { port } = listening;
  if (full.tls) securePorts.add(port);
  t.after(async () => {
    await listening.close();
    securePorts.delete(port);
  });
  const s = full.tls ? 's' : '';
  return {
    ...log,
    port,
    url: listening.host === 'memory' ? memoryUrl(port) : `ws${s}://127.0.0.1:${port}/ws`,
    client: full.tls ? (https as unknown as typeof http) : http,
    http: `http${s}://127.0.0.1:${port}`,
    at: (host) => `ws${s}://${host}:${port}/`,
    listening,
  };
}
