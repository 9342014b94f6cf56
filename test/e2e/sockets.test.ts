/** Goal: engine.socket over real sockets and both backends: what handlers get, what limits do, what an operator sees. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import {
  createEngine,
  type Engine,
  type Socket,
  type SocketHandlers,
} from '../../src/engine/engine.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { backendsHere } from '../support/backend/here.ts';
import { open, RefusedError } from '../support/client.ts';
import { until } from '../support/until.ts';

for (const backend of backendsHere)
  describe(`engine.socket over ${backend}`, () => {
    let engine: Engine | undefined;
    let lines: string[] = [];
    const made: Engine[] = [];
    afterEach(() => Promise.all(made.splice(0).map((each) => each.close())));

    function make(user: UserOptions = {}): Engine {
      lines = [];
      const keep = (_: object, text: string) => void lines.push(text);
      const log = { debug() {}, info() {}, warn: keep, error: keep };
      engine = createEngine(
        {
          ...user,
          server: { port: 0, backend, ...user.server },
          admin: { enabled: false },
          threads: { workers: 1 },
        },
        { log },
      );
      made.push(engine);
      return engine;
    }

    async function serve<Data = undefined>(handlers: SocketHandlers<Data>, user?: UserOptions) {
      const { url } = await make(user).socket('/mine', handlers).listen();
      return `${url}/mine`;
    }

    const sample = async (name: string) => {
      const text = (await engine?.metrics.exportText()) ?? '';
      return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
    };

    it('receives and sends text and binary, with state of its own, and counts them', async () => {
      const url = await serve({
        data: () => ({ messages: 0 }),
        async message(socket, message) {
          socket.data.messages++;
          const echo = typeof message === 'string' ? `Echo: ${message}` : message;
          assert.equal(await socket.send(echo), 'sent');
          if (message === 'bye') socket.close(4000, `${socket.data.messages} messages`);
        },
      });
      const client = await open(url);
      client.send('grüße 🌍');
      assert.deepEqual((await client.next()).text, 'Echo: grüße 🌍');
      client.send(Uint8Array.of(0, 255));
      const { bytes, binary } = await client.next();
      assert.deepEqual([[...bytes], binary], [[0, 255], true]);
      client.send('bye');
      assert.equal((await client.next()).text, 'Echo: bye');
      assert.deepEqual(await client.closed, { code: 4000, reason: '3 messages' });
      assert.equal(await sample('websocket_messages_received_total'), 3);
      assert.equal(await sample('websocket_messages_sent_total'), 3);
      assert.equal(await sample('millrace_sessions_opened_total{dialect="socket"}'), 1);
      assert.equal(await sample('millrace_bytes_total{direction="in"}'), 17);
    });

    it('serves several paths at once, each with its own handlers, beside the configured ones', async () => {
      const named = (name: string): SocketHandlers => ({
        message: (socket) => socket.send(`${name} at ${socket.path}`),
      });
      make().socket('/one', named('first')).socket('/two', named('second'));
      const { url } = (await engine?.listen()) ?? {};
      for (const [path, text] of [
        ['/one', 'first at /one'],
        ['/two', 'second at /two'],
        ['/ws', 'x'],
      ]) {
        const client = await open(`${url}${path}`);
        client.send('x');
        assert.equal((await client.next()).text, text);
      }
      const plain = await fetch(`${url?.replace('ws', 'http')}/one`);
      assert.equal(plain.status, 426);
      await plain.text();
    });

    it('takes only free paths, and only before the start', async () => {
      await serve({});
      const taken = { code: 'MILLRACE_PATH_TAKEN' };
      assert.throws(() => engine?.socket('/late', {}), { code: 'MILLRACE_STARTED' });
      const other = make();
      for (const path of ['/ws', '/chat', '/v1/responses'])
        assert.throws(() => other.socket(path, {}), taken);
      assert.throws(() => other.socket('/a', {}).socket('/a', {}), taken);
      assert.throws(() => other.socket('a', {}), { code: 'MILLRACE_PATH_INVALID' });
    });

    it('tells who is there: key, address, subprotocol', async () => {
      const seen: Socket[] = [];
      const url = await serve(
        { open: (socket) => void seen.push(socket) },
        { keys: ['sk-secret'] },
      );
      const refused = await open(url).catch((error: unknown) => error);
      assert.ok(refused instanceof RefusedError && refused.status === 401);
      await open(url, { headers: { authorization: 'Bearer sk-secret' }, protocols: ['chat.1'] });
      await until(() => seen.length === 1, 'the socket');
      const [{ principal, address, protocol, path }] = seen;
      assert.match(principal, /^[0-9a-f]{16}$/);
      assert.deepEqual([address, protocol, path], ['127.0.0.1', 'chat.1', '/mine']);
    });

    it('closes a session whose handler fails with 1011, counts and logs it, and serves the others', async () => {
      const url = await serve({
        message(socket, message) {
          if (message === 'throw') throw new Error('a secret of ours');
          if (message === 'reject') return Promise.reject(new Error('a secret of ours'));
          return socket.send(message);
        },
      });
      const other = await open(url);
      for (const how of ['throw', 'reject']) {
        const client = await open(url);
        client.send(how);
        const { code, reason } = await client.closed;
        assert.equal(code, 1011);
        assert.doesNotMatch(reason, /secret/);
      }
      other.send('still here');
      assert.equal((await other.next()).text, 'still here');
      assert.equal(await sample('millrace_errors_total{code="MILLRACE_INTERNAL"}'), 2);
      assert.equal(lines.filter((line) => /fault in socket \/mine message/.test(line)).length, 2);
    });

    it('holds back who sends to a client that does not read, loses nothing, and goes on when it reads', async (t) => {
      const got: Socket[] = [];
      const url = await serve({ open: (socket) => void got.push(socket) });
      const client = await open(url);
      t.after(() => client.socket.terminate());
      await until(() => got.length === 1, 'the socket');
      client.socket.pause();
      const [socket] = got;
      const bytes = Buffer.alloc(50_000, 'x');
      let sent = 0;
      let waits: Promise<unknown> | undefined;
      await until(async () => {
        waits = socket.send(bytes);
        sent++;
        const soon = new Promise((resolve) => setImmediate(() => resolve('waits')));
        return (await Promise.race([waits, soon])) === 'waits';
      }, 'a send that waits');
      assert.ok(socket.buffered > 256 * 1024);
      client.socket.resume();
      assert.equal(await waits, 'sent');
      for (let n = 0; n < sent; n++) assert.equal((await client.next()).bytes.length, bytes.length);
    });

    it('closes a client that leaves too much unread with 1013, within the bound', async (t) => {
      const got: Socket[] = [];
      const url = await serve(
        { open: (socket) => void got.push(socket) },
        { session: { socketBytesMax: 1024 * 1024 } },
      );
      const client = await open(url);
      t.after(() => client.socket.terminate());
      await until(() => got.length === 1, 'the socket');
      client.socket.pause();
      const [socket] = got;
      let most = 0;
      while (socket.open) {
        void socket.send(Buffer.alloc(50_000));
        most = Math.max(most, socket.buffered);
        await new Promise(setImmediate);
      }
      assert.ok(most <= 1024 * 1024 + 1024, `${most}`);
      assert.equal(await socket.send('x'), 'closed');
      client.socket.resume();
      assert.equal((await client.closed).code, 1013);
      assert.equal(await sample('millrace_errors_total{code="MILLRACE_SOCKET_FULL"}'), 1);
    });

    it('closes a client that reads nothing for too long with 1013', async (t) => {
      const closes: number[] = [];
      const url = await serve(
        {
          async message(socket) {
            while (socket.open && socket.buffered === 0) {
              void socket.send(Buffer.alloc(50_000));
              await new Promise(setImmediate);
            }
          },
          close: (_, code) => void closes.push(code),
        },
        {
          session: { slowClientTimeoutMs: 200 },
        },
      );
      const client = await open(url);
      t.after(() => client.socket.terminate());
      client.send('go on');
      client.socket.pause();
      await until(() => closes.length === 1, 'the slow one');
      assert.deepEqual(closes, [1013]);
    });

    it('keeps the caps and pings of every session', async () => {
      const url = await serve(
        {},
        { server: { sessionsMax: 1, pingIntervalMs: 100, idleTimeoutMs: 300 } },
      );
      const client = await open(url, { ws: { autoPong: false } });
      const refused = await open(url).catch((error: unknown) => error);
      assert.ok(refused instanceof RefusedError && refused.status === 503);
      assert.equal((await client.closed).code, 1001);
    });

    it('lets running handlers finish in a drain, and closes everybody with 1012', async () => {
      let release = () => {};
      const closes: number[] = [];
      const url = await serve({
        async message(socket) {
          await new Promise<void>((resolve) => (release = resolve));
          await socket.send('done');
        },
        close: (_, code) => void closes.push(code),
      });
      const [busy, idle] = [await open(url), await open(url)];
      busy.send('work');
      const opened = release;
      await until(() => release !== opened, 'the handler');
      const closed = engine?.close({ drain: true });
      await until(() => engine?.ready().reason.startsWith('draining'), 'the drain');
      release();
      assert.equal((await busy.next()).text, 'done');
      await closed;
      for (const client of [busy, idle]) assert.equal((await client.closed).code, 1012);
      assert.deepEqual(closes, [1012, 1012]);
    });

    it('runs as a loop over the messages', async () => {
      const url = await serve({
        async open(socket) {
          for await (const message of socket) await socket.send(`Echo: ${String(message)}`);
        },
      });
      const client = await open(url);
      const texts = Array.from({ length: 500 }, (_, n) => String(n));
      for (const text of texts) client.send(text);
      for (const text of texts) assert.equal((await client.next()).text, `Echo: ${text}`);
      await client.close(1000);
    });
  });
