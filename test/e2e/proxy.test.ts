/** Sessions that are carried on to WebSocket back ends: real threads, real `ws` servers, both server backends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket, type Server as TcpServer } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { type RawData, type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { startSimulated } from '../../src/simulate/server.ts';
import { backendsHere } from '../support/backend/here.ts';
import { open } from '../support/client.ts';
import { startEngineProcess } from '../support/engine-process.ts';
import { until } from '../support/until.ts';

/** What a test has started, ended when it is over, however it went. */
const started: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of started.splice(0).reverse()) await end();
});

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A back end: `serve` gets every connection. */
async function backEnd(serve: (socket: WebSocket) => void, options: ServerOptions = {}) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
  await once(server, 'listening');
  const sockets: WebSocket[] = [];
  const heads: Readonly<Record<string, string | string[] | undefined>>[] = [];
  server.on('connection', (socket, request) => {
    sockets.push(socket);
    heads.push(request.headers);
    socket.on('error', () => {});
    serve(socket);
  });
  const { port } = server.address() as AddressInfo;
  started.push(() => {
    for (const socket of server.clients) socket.terminate();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `ws://127.0.0.1:${port}/`, sockets, heads };
}

const echo = (socket: WebSocket) =>
  socket.on('message', (data: RawData, binary) => socket.send(data as Buffer, { binary }));

/** A TCP server that does what it wants with each connection. */
async function rawServer(serve: (socket: Socket) => void) {
  const sockets: Socket[] = [];
  const server: TcpServer = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  started.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((done) => server.close(done));
  });
  return `ws://127.0.0.1:${port}/`;
}

/** Nobody listens there. */
async function refusing(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return `ws://127.0.0.1:${port}/`;
}

const pool = (...urls: string[]) =>
  urls.map((url, at) => ({ name: `back-${at}`, provider: 'websocket', url }));

async function drained(admin: string, upstream: string): Promise<void> {
  const headers = { authorization: 'Bearer admin-secret' };
  const { status } = await fetch(`${admin}/upstreams/${upstream}/drain`, {
    method: 'POST',
    headers,
  });
  assert.equal(status, 200);
}

async function gateway(
  backend: 'uws' | 'ws',
  options: UserOptions,
): Promise<[Engine, string, string]> {
  const engine = createEngine(
    {
      server: { port: 0, backend },
      admin: { port: 0, token: 'admin-secret' },
      threads: { workers: 1 },
      // The first round is the configured order.
      balance: {
        loadBalanceStrategy: 'RoundRobin',
        healthCheckIntervalMs: 60_000,
        healthCheckFastMs: 60_000,
      },
      ...options,
    },
    { log: quiet },
  );
  started.push(() => engine.close());
  const { url, admin } = await engine.listen();
  return [engine, `${url}/proxy`, `http://127.0.0.1:${admin?.port}`];
}

for (const backend of backendsHere) {
  describe(`proxy over ${backend}`, () => {
    test('carries text, binary, fragmented and large messages in order both ways', async () => {
      const back = await backEnd(echo);
      const [, url] = await gateway(backend, { upstreams: pool(back.url) });
      const client = await open(url);
      const sent: [boolean, Buffer][] = [];
      for (let n = 0; n < 300; n++) {
        const bytes = Buffer.alloc((n * 37) % 3_000, 97 + (n % 26));
        sent.push([n % 3 === 0, bytes]);
        client.socket.send(bytes, { binary: n % 3 === 0 });
      }
      const large = Buffer.alloc(3 * 1024 * 1024, 'z');
      client.socket.send(large, { binary: true });
      client.socket.send('half ', { fin: false });
      client.socket.send('and half 🌊', { fin: true });
      for (const [binary, bytes] of sent) {
        const got = await client.next(10_000);
        assert.equal(got.binary, binary);
        assert.ok(got.bytes.equals(bytes));
      }
      const big = await client.next(20_000);
      assert.ok(big.binary && big.bytes.equals(large));
      assert.equal((await client.next()).text, 'half and half 🌊');
      await client.close();
    });

    test('passes close codes and reasons both ways, and maps those that no frame may carry', async () => {
      const ends: [number, string][] = [];
      const back = await backEnd((socket) => {
        socket.send('hello');
        socket.on('close', (code, reason) => ends.push([code, reason.toString()]));
        socket.on('message', (data: RawData) => {
          const { code, reason } = JSON.parse((data as Buffer).toString());
          if (code === 1006) socket.terminate();
          else socket.close(code, reason);
        });
      });
      const [, url] = await gateway(backend, { upstreams: pool(back.url) });
      const ask = async (code?: number, reason?: string) => {
        const client = await open(url);
        await client.next();
        client.send({ code, reason });
        const { code: got, reason: said } = await client.closed;
        return `${got} ${said}`;
      };
      assert.equal(await ask(1000, 'bye'), '1000 bye');
      assert.equal(await ask(4321, 'own code „ü“'), '4321 own code „ü“');
      assert.equal(await ask(1011, 'broke'), '1011 broke');
      assert.equal(await ask(1012, 'restart'), '1012 restart');
      assert.equal(await ask(), '1000 ');
      assert.equal(await ask(1002, 'no'), '1014 no');
      assert.equal(await ask(1006), '1014 the back end was lost');

      ends.length = 0;
      for (const [code, reason] of [
        [1000, 'done'],
        [4000, 'mine'],
        [1001, ''],
      ] as const) {
        const client = await open(url);
        await client.next();
        await client.close(code, reason);
        await until(() => ends.length === 1, 'the back end to be told');
        assert.deepEqual(ends.pop(), [code, reason]);
      }
      const plain = await open(url);
      await plain.next();
      plain.socket.close();
      await until(() => ends.length === 1, 'the back end to be told');
      assert.deepEqual(ends.pop(), [1005, '']);
      const lost = await open(url);
      await lost.next();
      lost.socket.terminate();
      await until(() => ends.length === 1, 'the back end to be told');
      assert.equal(ends.pop()?.[0], 1001);
    });

    test('the simulated back end: what it says back comes back, and how it ends is heard', async (t) => {
      const simulated = await startSimulated();
      t.after(() => simulated.close());
      const [, url] = await gateway(backend, { upstreams: pool(`${simulated.socketOrigin}/ws`) });
      const ends = [
        ['end-after=2 close-code=4001', 4001],
        ['reset-after=2', 1014],
        ['cut-after=2', 1014],
      ] as const;
      for (const [fault, code] of ends) {
        simulated.faults.set(fault);
        const client = await open(url);
        for (const text of ['größe', 'two']) client.socket.send(text);
        assert.equal((await client.next()).text, 'größe');
        assert.equal((await client.next()).text, 'two');
        assert.equal((await client.closed).code, code, fault);
      }
    });

    test('agrees on the first subprotocol that the options name, and a back end must accept it', async () => {
      const offered: string[][] = [];
      const handleProtocols = (all: Set<string>) => {
        offered.push([...all]);
        return all.has('b') ? 'b' : false;
      };
      const strict = await backEnd(echo, { handleProtocols });
      const wrong = await backEnd(echo, { handleProtocols: () => false });
      const [, url] = await gateway(backend, {
        upstreams: pool(wrong.url, strict.url),
        proxy: { protocols: ['b', 'c'] },
      });
      for (let n = 0; n < 2; n++) {
        const client = await open(url, { protocols: ['a', 'b', 'c'] });
        assert.equal(client.socket.protocol, 'b');
        client.send('x');
        assert.equal((await client.next()).text, 'x');
        await client.close();
      }
      assert.deepEqual(offered, [['b'], ['b']]);
      await assert.rejects(open(url, { protocols: ['nobody'] }), /no subprotocol/i);
    });

    test('a back end that fails before its first message is replaced, and the next one gets everything again', async () => {
      const resetting = await rawServer((socket) => socket.resetAndDestroy());
      const speaksHttp = await rawServer((socket) =>
        socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'),
      );
      let lost = 0;
      const quits = await backEnd((socket) => {
        let heard = 0;
        socket.on('message', () => {
          heard++;
          if (heard < 3) return;
          lost++;
          socket.terminate();
        });
      });
      const good = await backEnd(echo);
      const [, url] = await gateway(backend, {
        upstreams: pool(await refusing(), resetting, speaksHttp, quits.url, good.url),
        stream: { maxRetries: 4 },
      });
      // Whoever is asked first, each is asked by somebody.
      for (let n = 0; n < 5; n++) {
        const client = await open(url);
        for (const text of ['one', 'two', 'three']) client.send(text);
        for (const text of ['one', 'two', 'three'])
          assert.equal((await client.next(10_000)).text, text);
        await client.close();
      }
      assert.ok(lost > 0);
      assert.equal(good.sockets.length, 5);
    });

    test('a back end lost after it has spoken ends the session once, and is not replaced', async () => {
      const serve = (socket: WebSocket) =>
        socket.on('message', () => {
          socket.send('so far');
          setImmediate(() => socket.terminate());
        });
      const [one, two] = [await backEnd(serve), await backEnd(serve)];
      const [, url] = await gateway(backend, { upstreams: pool(one.url, two.url) });
      const client = await open(url);
      client.send('go');
      assert.equal((await client.next()).text, 'so far');
      assert.deepEqual(await client.closed, { code: 1014, reason: 'the back end was lost' });
      assert.equal(one.sockets.length + two.sockets.length, 1);
    });

    test('when every back end that was asked failed, and beyond the replay bound, a session ends with 1014', async () => {
      const quits = await backEnd((socket) => socket.on('message', () => socket.terminate()));
      const [, nobody] = await gateway(backend, { upstreams: pool(await refusing()) });
      const lonely = await open(nobody);
      assert.equal((await lonely.closed).code, 1014);
      const [, url] = await gateway(backend, {
        upstreams: pool(quits.url),
        proxy: { replayBytesMax: 1_000 },
      });
      const client = await open(url);
      client.send('x'.repeat(2_000));
      const { code, reason } = await client.closed;
      assert.equal(code, 1014);
      assert.match(reason, /more than 1000 bytes/);
    });

    test('a client that does not read pauses its back end; what was said arrives whole', async () => {
      const pieces = 600;
      const piece = Buffer.alloc(64 * 1024, 'p');
      let given = 0;
      const back = await backEnd((socket) => {
        const more = () => {
          if (given === pieces) return socket.close(1000, 'all');
          given++;
          socket.send(piece, more);
        };
        socket.on('message', more);
      });
      const [, url] = await gateway(backend, { upstreams: pool(back.url) });
      const client = await open(url);
      client.socket.pause();
      client.send('go');
      await until(() => given > 0, 'the back end to begin');
      let last = -1;
      await until(
        () => {
          const stands = given === last;
          last = given;
          return stands && given > 1;
        },
        'it to stand still',
        10_000,
      );
      assert.ok(given < pieces, `${given} pieces were taken for a client that reads none`);
      let bytes = 0;
      client.socket.on('message', (data: RawData) => {
        bytes += (data as Buffer).byteLength;
      });
      client.socket.resume();
      assert.deepEqual(await client.closed, { code: 1000, reason: 'all' });
      assert.equal(bytes, pieces * piece.length);
    });

    test('a back end that does not read holds a bounded number of bytes and costs its session, nobody else', async () => {
      const slow = await backEnd((socket) => {
        socket.send('hello');
        socket.pause();
      });
      const good = await backEnd(echo);
      const [, url] = await gateway(backend, {
        upstreams: pool(slow.url, good.url),
        proxy: { bufferBytesMax: 64 * 1024, unpausedBytesMax: 256 * 1024, stallTimeoutMs: 1_500 },
      });
      const client = await open(url);
      await client.next();
      const beside = await open(url);
      const piece = Buffer.alloc(256 * 1024);
      for (let n = 0; n < 80; n++) client.socket.send(piece);
      const { code, reason } = await client.closed;
      assert.equal(code, 1013);
      assert.match(reason, backend === 'ws' ? /did not read/ : /wait for the back end/);
      beside.send('still here');
      assert.equal((await beside.next()).text, 'still here');
    });

    test('an upstream that is drained keeps its sessions and gets no new ones', async () => {
      const [one, two] = [await backEnd(echo), await backEnd(echo)];
      const [, url, admin] = await gateway(backend, { upstreams: pool(one.url, two.url) });
      const early = await open(url);
      early.send('a');
      await early.next();
      const [held, other] = one.sockets.length === 1 ? [0, two] : [1, one];
      await drained(admin, `back-${held}`);
      for (let n = 0; n < 4; n++) {
        const client = await open(url);
        client.send('b');
        assert.equal((await client.next()).text, 'b');
      }
      assert.equal(other.sockets.length, 4);
      early.send('still');
      assert.equal((await early.next()).text, 'still');
    });
  });
}

test('a worker that dies ends each of its proxied sessions once, with 1012; its successor takes new ones', async () => {
  const back = await backEnd(echo);
  const engine = await startEngineProcess({
    server: { port: 0 },
    admin: { port: 0 },
    upstreams: pool(back.url),
    threads: { workers: 1, heartbeatMs: 20, hungAfterMs: 1_000 },
  });
  started.push(() => engine.close());
  const url = `${engine.url}/proxy`;
  const clients = await Promise.all([open(url), open(url)]);
  for (const client of clients) {
    client.send('a');
    assert.equal((await client.next()).text, 'a');
  }
  await engine.strike('worker', 'exit');
  for (const client of clients) assert.equal((await client.closed).code, 1012);
  const next = await open(url);
  next.send('b');
  assert.equal((await next.next(10_000)).text, 'b');
  await next.close(1000);
  await until(() => engine.facts('proxy-ended').length === 1, 'its line');
  const { closeCode, upstream, messagesIn, bytesOut } = engine.facts('proxy-ended')[0].fields;
  assert.deepEqual([closeCode, upstream, messagesIn, bytesOut], [1000, 'back-0', 1, 1]);
  assert.equal(await engine.close(), 0);
});
