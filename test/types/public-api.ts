/** Compiled, never run: what the types of the public API infer and refuse. A line that should not compile and does fails the build. */
import { type Code, createEngine, type Engine, MillraceError } from '../../src/index.ts';
import { CompressionManager } from '../../src/parts/compression-manager.ts';
import { ConnectionPool } from '../../src/parts/connection-pool.ts';
import { LlmStreamer } from '../../src/parts/llm-streamer.ts';
import { LoadBalancer } from '../../src/parts/load-balancer.ts';
import { connect, simulatedUpstream } from '../../src/testing/testing.ts';

type IsAny<T> = 0 extends 1 & T ? true : false;
type Equal<A, B> =
  IsAny<A> extends true ? false : [A] extends [B] ? ([B] extends [A] ? true : false) : false;
declare function same<A, B>(equal: Equal<A, B>): void;

export async function options(): Promise<void> {
  const engine = createEngine({ balance: { loadBalanceStrategy: 'Random' } });
  same<typeof engine, Engine>(true);
  same<typeof engine.options.server.port, number>(true);
  same<Awaited<ReturnType<typeof engine.listen>>['url'], string>(true);
  // @ts-expect-error -- not a strategy
  createEngine({ balance: { loadBalanceStrategy: 'Luck' } });
  // @ts-expect-error -- no such option
  createEngine({ server: { prot: 1 } });
  await using scoped = createEngine();
  same<typeof scoped, Engine>(true);
}

export function sockets(engine: Engine): void {
  engine
    .socket('/a', {
      data: ({ address }) => ({ address, turns: 0 }),
      message(socket, message) {
        same<typeof message, string | Uint8Array>(true);
        same<typeof socket.data, { address: string; turns: number }>(true);
        // @ts-expect-error -- no such state
        socket.data.turn = 1;
        // @ts-expect-error -- neither text nor bytes
        return socket.send(1);
      },
      close(_, code, reason) {
        same<typeof code, number>(true);
        same<typeof reason, string>(true);
      },
    })
    .socket('/b', {
      async open(socket) {
        same<typeof socket.data, undefined>(true);
        for await (const message of socket) same<typeof message, string | Uint8Array>(true);
        same<Awaited<ReturnType<typeof socket.send>>, 'sent' | 'closed'>(true);
      },
    });
  // @ts-expect-error -- no such handler
  engine.socket('/c', { mesage() {} });
}

export function errors(thrown: unknown): void {
  if (!(thrown instanceof MillraceError)) return;
  same<typeof thrown.code, Code>(true);
  if (thrown.code === 'MILLRACE_PORT_TAKEN') same<typeof thrown.code, 'MILLRACE_PORT_TAKEN'>(true);
  // @ts-expect-error -- no such code
  if (thrown.code === 'MILLRACE_PORT_TOOK') return;
  // @ts-expect-error -- its sentence needs host and port
  throw new MillraceError('MILLRACE_PORT_TAKEN', {});
}

export async function testing(engine: Engine): Promise<void> {
  const upstream = await simulatedUpstream({ seed: 1 });
  same<typeof upstream.url, string>(true);
  upstream.faults.set({ status: 503 });
  // @ts-expect-error -- no such fault
  upstream.faults.set({ statos: 503 });
  const client = await connect(engine, '/ws', { headers: { authorization: 'Bearer x' } });
  for await (const message of client) same<typeof message, string | Uint8Array>(true);
}

export async function compression(): Promise<void> {
  await using it = new CompressionManager({ algorithm: 'Zstd', level: 3 });
  const { bytes, encoding } = await it.compress('text');
  same<typeof encoding, 'identity' | 'gzip' | 'deflate' | 'brotli' | 'zstd'>(true);
  same<Awaited<ReturnType<typeof it.decompress>>, Uint8Array>(true);
  await it.decompress(bytes, encoding);
  // @ts-expect-error -- no such encoding
  await it.decompress(bytes, 'lzma');
}

export async function parts(): Promise<void> {
  const pool = new ConnectionPool({ open: async () => ({ port: 1 }) });
  same<Awaited<ReturnType<typeof pool.selectConnection>>['connection'], { port: number }>(true);
  same<Awaited<ReturnType<typeof pool.addConnection>>, string>(true);
  const answer = await pool.run(async ({ port }, { attempt }) => [port, attempt]);
  same<typeof answer, number[]>(true);
  // @ts-expect-error -- not such a connection
  await pool.addConnection({ prot: 1 });
  // @ts-expect-error -- no such strategy
  void new ConnectionPool({ loadBalanceStrategy: 'Luck' });
  const balancer = new LoadBalancer<URL>().add('a', new URL('ws://a'));
  const picked = balancer.select();
  same<typeof picked extends { value: infer V } | undefined ? V : never, URL>(true);
  // @ts-expect-error -- a URL is asked for
  balancer.add('b', 'ws://b');
}

export async function streamer(response: ReadableStream<string>): Promise<void> {
  const made = new LlmStreamer({ chunkSize: 20, delayMs: 50, bufferSize: 1_000 });
  const id = made.startStream('text', { signal: AbortSignal.timeout(1) });
  same<typeof id, string>(true);
  same<Awaited<ReturnType<typeof made.nextChunk>>, string | undefined>(true);
  same<ReturnType<typeof made.endStream>['chunks'], number>(true);
  same<ReturnType<typeof made.cancelStream>, boolean>(true);
  for await (const chunk of made.stream(response)) same<typeof chunk, string>(true);
  // @ts-expect-error -- bytes are no text
  made.startStream(new Uint8Array(1));
  // @ts-expect-error -- no such option
  void new LlmStreamer({ chunkSze: 1 });
}
