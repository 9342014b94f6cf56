/** The memory backend under the suite: its clients look like those of test/support/client.ts, and are found by a URL. */
import type { WebSocket } from 'ws';
import type { Backend } from '../../../src/main/backend/backend.ts';
import { type MemoryListening, memoryBackend } from '../../../src/main/backend/memory.ts';
import type { MemoryConnection } from '../../../src/main/backend/memory-connection.ts';
import type { Closed, Received, TestClient } from '../client.ts';

const listenings = new Map<number, MemoryListening>();

/** In the place of a port. */
let next = 1;

export function createMemoryBackend(): Backend {
  return {
    name: 'ws',
    version: 'memory',
    async listen(options, handlers) {
      const listening = await memoryBackend.listen(options, handlers);
      const port = next++;
      listenings.set(port, listening);
      return { ...listening, port };
    },
  };
}

export const memoryUrl = (port: number) => `memory:${port}`;

export async function openInMemory(url: string): Promise<TestClient> {
  const listening = listenings.get(Number(url.slice('memory:'.length)));
  if (!listening) throw new Error(`nobody listens at ${url}`);
  const answer = await listening.connect({
    path: '/ws',
    headers: {},
    protocols: [],
    address: '127.0.0.1',
    windowBytes: 65_536,
    pongs: true,
  });
  if (!answer.accepted) throw new Error(`refused with ${answer.reply.status}`);
  return clientOver(answer.connection);
}

/** Reads ahead unless it is paused, as a socket does. */
function clientOver(connection: MemoryConnection): TestClient {
  const waiting: Received[] = [];
  const reading = { paused: false };
  let changed = () => {};
  const change = () => new Promise<void>((resolve) => (changed = resolve));
  const closed = (async (): Promise<Closed> => {
    for (;;) {
      while (reading.paused) await change();
      const message = await connection.take();
      if (!message) return connection.ended as Closed;
      const bytes = Buffer.from(message.bytes);
      waiting.push({ bytes, binary: message.binary, text: bytes.toString() });
      changed();
    }
  })();
  const pause = (on: boolean) => {
    reading.paused = on;
    changed();
  };
  async function take(): Promise<Received> {
    for (;;) {
      const message = waiting.shift();
      if (message) return message;
      if (connection.ended) throw new Error(`the session ended with ${connection.ended.code}`);
      await Promise.race([change(), closed]);
    }
  }
  const socket = {
    pause: () => pause(true),
    resume: () => pause(false),
    ping: () => connection.life(),
    terminate: () => connection.leave(1006, ''),
  };
  return {
    socket: socket as unknown as WebSocket,
    waiting,
    closed,
    send: (message) =>
      connection.say(Buffer.from(message as string | Uint8Array), typeof message !== 'string'),
    next: take,
    nextJson: async <T>() => JSON.parse((await take()).text) as T,
    async collect(last) {
      const all = [await take()];
      while (!last(all[all.length - 1])) all.push(await take());
      return all;
    },
    collectJson: () => Promise.reject(new Error('not in memory')),
    close(code = 1005, reason = '') {
      connection.leave(code, reason);
      return closed;
    },
  };
}
