/**
 * The contract without a network: clients in this process, for tests. Everything above a backend is real; messages arrive in a later turn, a client
 * that takes nothing makes back-pressure, closing waits for what was sent.
 *
 *   engine: send ─▶ queue ─▶ window (what a kernel would hold) ─▶ client: next
 */
import type { BackendHandlers, HttpReply, Listening, ListenOptions } from './backend.ts';
import { MemoryConnection } from './memory-connection.ts';

/** What a client asks for. */
export interface MemoryAsk {
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocols: readonly string[];
  readonly address: string;
  /** Bytes that arrive at a client before it takes them. */
  readonly windowBytes: number;
  /** Whether it answers pings. */
  readonly pongs: boolean;
}

export type MemoryAnswer =
  | { readonly accepted: true; readonly connection: MemoryConnection; readonly protocol: string }
  | { readonly accepted: false; readonly reply: HttpReply };

export interface MemoryListening extends Listening {
  connect(ask: MemoryAsk): Promise<MemoryAnswer>;
}

export const memoryBackend = {
  listen: (options: ListenOptions, handlers: BackendHandlers): Promise<MemoryListening> =>
    Promise.resolve(listen(options, handlers)),
};

function listen({ messageBytesMax }: ListenOptions, handlers: BackendHandlers): MemoryListening {
  const open = new Set<MemoryConnection>();
  return {
    host: 'memory',
    port: 0,
    unlisten() {},
    async connect(ask) {
      const verdict = await handlers.upgrade(headOf(ask));
      if (!verdict.accept) return { accepted: false, reply: verdict.reply };
      const { windowBytes, pongs } = ask;
      const connection = new MemoryConnection(handlers, verdict.user, {
        messageBytesMax,
        windowBytes,
        pongs,
        over: () => open.delete(connection),
      });
      open.add(connection);
      connection.opened();
      return { accepted: true, connection, protocol: verdict.protocol ?? '' };
    },
    async close() {
      for (const connection of open) connection.terminate();
      await new Promise(setImmediate);
    },
  };
}

function headOf({ path: asked, headers, protocols, address }: MemoryAsk) {
  const all = new Map([['host', 'localhost']]);
  if (protocols.length > 0) all.set('sec-websocket-protocol', protocols.join(', '));
  for (const [name, value] of Object.entries(headers)) all.set(name.toLowerCase(), value);
  const [path = '', ...query] = asked.split('?');
  return {
    method: 'GET',
    path,
    query: query.join('?'),
    header: (name: string) => all.get(name),
    headers: () => Object.fromEntries(all),
    hosts: 1,
    address,
  };
}
