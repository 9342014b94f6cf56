/** Real sockets on loopback; the server's side is written byte by byte. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, describe, test } from 'node:test';
import type { MillraceError } from '../../../../src/errors.ts';
import type { HeaderReader } from '../../../../src/protocol/provider.ts';
import type { Exchange, Transport } from '../../../../src/protocol/transport.ts';
import { HttpTransport } from '../../../../src/worker/connect/http.ts';
import { RawTransport } from '../../../../src/worker/connect/raw.ts';
import { collected } from '../../../support/collected.ts';
import { until } from '../../../support/until.ts';

const HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const LAST = '0\r\n\r\n';

/** One connection as the server sees it. */
interface Seen {
  readonly socket: net.Socket;
  text: string;
  closed: boolean;
}

const cleanups: (() => void)[] = [];
after(() => {
  for (const cleanup of cleanups) cleanup();
});

async function serve(onRequest: (seen: Seen, request: number) => void) {
  const seen: Seen[] = [];
  let requests = 0;
  const server = net.createServer((socket) => {
    const one: Seen = { socket, text: '', closed: false };
    seen.push(one);
    socket.on('error', () => {});
    socket.on('close', () => {
      one.closed = true;
    });
    socket.on('data', (bytes) => {
      const before = bodies(one.text);
      one.text += bytes.toString('latin1');
      for (let n = before; n < bodies(one.text); n += 1) onRequest(one, requests++);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const { socket } of seen) socket.destroy();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, seen, server };
}

/** Whole requests in what was received: each of ours ends with this body. */
const BODY = '{"end":1}';
const bodies = (text: string) => text.split(BODY).length - 1;

class Recorder {
  readonly calls: string[] = [];
  status = 0;
  headers: HeaderReader = () => undefined;
  text = '';
  pieces = 0;
  error: MillraceError | undefined;
  onData: (text: string) => void = () => {};
  sent(): void {
    this.calls.push('sent');
  }
  head(status: number, headers: HeaderReader): void {
    this.calls.push('head');
    this.status = status;
    this.headers = headers;
  }
  data(bytes: Uint8Array): void {
    this.pieces += 1;
    const text = Buffer.from(bytes).toString('latin1');
    this.text += text;
    this.onData(text);
  }
  end(): void {
    this.calls.push('end');
  }
  fail(error: MillraceError): void {
    this.calls.push('fail');
    this.error = error;
  }
  get over(): boolean {
    return this.calls.includes('end') || this.calls.includes('fail');
  }
}

for (const Made of [HttpTransport, RawTransport]) {
  describe(Made.name, () => {
    function transport(idleMs = 5000): Transport {
      const made = new Made({ idleSocketsMax: 2, idleMs });
      cleanups.push(() => void made.close());
      return made;
    }

    function open(on: Transport, origin: string): { exchange: Exchange; got: Recorder } {
      const got = new Recorder();
      const request = {
        method: 'POST' as const,
        path: '/v1/chat/completions?x=1',
        headers: { 'content-type': 'application/json', authorization: 'Bearer canary-key' },
        body: BODY,
      };
      const exchange = on.open({ name: 'one', origin }, request, got);
      assert.deepEqual(got.calls, [], 'nothing is called from within open');
      return { exchange, got };
    }

    describe('an exchange over HTTP', () => {
      test('request out, head and body in, and the socket waits for the next one', async () => {
        const { origin, seen } = await serve(({ socket }) =>
          socket.write(
            `${HEAD.replace('\r\n\r\n', '\r\nx-two: a\r\nX-Two: b\r\n\r\n')}${chunk('one ')}${chunk('two')}${LAST}`,
          ),
        );
        const on = transport();
        const { got } = open(on, origin);
        await until(() => got.over, 'the end');
        assert.deepEqual(got.calls, ['sent', 'head', 'end']);
        assert.equal(got.text, 'one two');
        assert.equal(got.pieces, 1, 'what one read brought comes as one piece');
        assert.equal(got.status, 200);
        assert.equal(got.headers('x-two'), 'a, b');
        assert.equal(got.headers('absent'), undefined);
        assert.match(seen[0].text, /^POST \/v1\/chat\/completions\?x=1 HTTP\/1\.1\r\n/);
        assert.match(seen[0].text, /content-length: 9\r\n/);
        assert.equal(on.sockets, 1);
        const { got: second } = open(on, origin);
        await until(() => second.over, 'the second end');
        assert.equal(second.text, 'one two');
        assert.equal(seen.length, 1, 'the same socket');
        await on.close();
        assert.equal(on.sockets, 0);
        await until(() => seen[0].closed, 'the server sees the idle socket close');
      });

      test('a refused connection', async () => {
        const { origin, server } = await serve(() => {});
        server.close();
        await once(server, 'close');
        const { got } = open(transport(), origin);
        await until(() => got.over, 'the failure');
        assert.deepEqual(got.calls, ['fail']);
        assert.equal(got.error?.code, 'MILLRACE_UPSTREAM_REFUSED');
        assert.match(got.error?.message ?? '', /upstream one refused the connection: ECONNREFUSED/);
      });

      const breaks: [name: string, answer: string, how: 'reset' | 'end', calls: string[]][] = [
        ['a reset before the head', '', 'reset', ['sent', 'fail']],
        ['a close before the head', '', 'end', ['sent', 'fail']],
        ['a close inside the head', HEAD.slice(0, 40), 'end', ['sent', 'fail']],
        ['a reset after the head', HEAD, 'reset', ['sent', 'head', 'fail']],
        ['a chunked body that ends early', HEAD + chunk('abc'), 'end', ['sent', 'head', 'fail']],
        ['a chunk that ends early', `${HEAD}ff\r\nabc`, 'end', ['sent', 'head', 'fail']],
        [
          'a body shorter than its length',
          'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc',
          'end',
          ['sent', 'head', 'fail'],
        ],
        ['what is not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'end', ['sent', 'fail']],
        ['a chunk size that is none', `${HEAD}zz\r\nabc`, 'end', ['sent', 'head', 'fail']],
      ];
      for (const [name, answer, how, calls] of breaks) {
        test(`${name} is a failure, once, after what came`, async () => {
          const { origin } = await serve(({ socket }) => {
            socket.write(answer, () => {
              // Let the bytes arrive before the reset overtakes them.
              setImmediate(() => (how === 'reset' ? socket.resetAndDestroy() : socket.end()));
            });
          });
          const on = transport();
          const { got } = open(on, origin);
          await until(() => got.over, 'the failure');
          assert.deepEqual(got.calls, calls);
          assert.equal(got.error?.code, 'MILLRACE_UPSTREAM_RESET');
          assert.ok(!JSON.stringify(got.error).includes('canary-key'));
          if (answer.includes('abc') && !answer.includes('zz')) assert.equal(got.text, 'abc');
          await until(() => on.sockets === 0, 'no socket is left');
        });
      }

      test('a body that ends with the connection is whole', async () => {
        const { origin } = await serve(({ socket }) =>
          socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it'),
        );
        const on = transport();
        const { got } = open(on, origin);
        await until(() => got.over, 'the end');
        assert.deepEqual([got.calls.at(-1), got.text], ['end', 'all of it']);
        await until(() => on.sockets === 0, 'such a socket is not kept');
      });

      test('informational responses are not the response', async () => {
        const { origin } = await serve(({ socket }) =>
          socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${HEAD}${chunk('x')}${LAST}`),
        );
        const { got } = open(transport(), origin);
        await until(() => got.over, 'the end');
        assert.deepEqual([got.calls, got.status], [['sent', 'head', 'end'], 200]);
      });

      test('pause stops the reading: the peer feels it, and after resume every byte comes, in order', async () => {
        const block = 'x'.repeat(64 * 1024);
        let written = 0;
        let blocked = false;
        const total = 400;
        const { origin } = await serve(({ socket }) => {
          socket.write(HEAD);
          const more = () => {
            while (written < total) {
              written += 1;
              if (!socket.write(chunk(block))) {
                blocked = true;
                return socket.once('drain', more);
              }
            }
            return socket.write(LAST);
          };
          more();
        });
        const { exchange, got } = open(transport(), origin);
        got.onData = () => exchange.pause();
        await until(
          () => got.pieces > 0 && blocked,
          'the first piece, and a writer that must wait',
        );
        let held = -1;
        await until(() => {
          const same = held === got.text.length;
          held = got.text.length;
          return same;
        }, 'silence');
        assert.ok(got.text.length < 512 * 1024, `${got.text.length} bytes came while paused`);
        assert.ok(written < total, 'the peer was held back');
        got.onData = () => {};
        exchange.resume();
        await until(() => got.over, 'the end', 20_000);
        assert.equal(got.text.length, total * block.length);
      });

      test('a pause before anything came holds the body back', async () => {
        const { origin } = await serve(({ socket }) => socket.write(HEAD + chunk('later') + LAST));
        const { exchange, got } = open(transport(), origin);
        exchange.pause();
        await until(() => got.calls.includes('head'), 'the head');
        assert.ok(!got.over);
        exchange.resume();
        await until(() => got.over, 'the end');
        assert.equal(got.text, 'later');
      });
    });

    test('what was asked is let go of once it is answered', async () => {
      const { origin } = await serve(({ socket }) => socket.write(`${HEAD}${chunk('one')}`));
      const on = transport();
      const got = new Recorder();
      const ask = () => {
        const request = { method: 'POST' as const, path: '/', headers: {}, body: BODY };
        return {
          held: new WeakRef(request),
          exchange: on.open({ name: 'one', origin }, request, got),
        };
      };
      const { held, exchange } = ask();
      await until(() => got.text === 'one', 'the answer begins');
      await collected(held, 'a request that is being answered');
      exchange.cancel();
    });

    describe('cancelling an exchange closes its socket at once', () => {
      test('while it is queued: nothing is ever connected', async () => {
        const { origin, seen } = await serve(() => {});
        const on = transport();
        const { exchange, got } = open(on, origin);
        exchange.cancel();
        exchange.cancel();
        const { got: other } = open(on, origin);
        await until(() => other.calls.includes('sent'), 'a later exchange is under way');
        assert.equal(seen.length, 1);
        assert.deepEqual(got.calls, []);
      });

      test('while it connects: the request is never written', async () => {
        const { origin, seen } = await serve(() => {});
        const on = transport();
        const { exchange, got } = open(on, origin);
        // The socket is made in a microtask; its connect event needs a turn of the loop.
        await Promise.resolve();
        assert.equal(on.sockets, 1);
        exchange.cancel();
        await until(() => on.sockets === 0, 'no socket');
        assert.ok(seen.every(({ text }) => text === ''));
        assert.deepEqual(got.calls, []);
      });

      test('while it waits for the head', async () => {
        const { origin, seen } = await serve(() => {});
        const on = transport();
        const { exchange, got } = open(on, origin);
        await until(() => bodies(seen[0]?.text ?? '') === 1, 'the request');
        exchange.cancel();
        await until(() => seen[0].closed, 'the server sees the close');
        assert.deepEqual(got.calls, ['sent']);
        assert.equal(on.sockets, 0);
      });

      test('while the body comes, from within data too: nothing more is called', async () => {
        const { origin, seen } = await serve(({ socket }) => socket.write(HEAD + chunk('a')));
        const on = transport();
        const { exchange, got } = open(on, origin);
        got.onData = () => exchange.cancel();
        await until(() => seen[0]?.closed, 'the server sees the close');
        assert.deepEqual([got.calls, got.text], [['sent', 'head'], 'a']);
        assert.equal(on.sockets, 0);
      });

      test('while it is paused', async () => {
        const { origin, seen } = await serve(({ socket }) => socket.write(HEAD + chunk('a')));
        const { exchange, got } = open(transport(), origin);
        got.onData = () => exchange.pause();
        await until(() => got.pieces === 1, 'a piece');
        exchange.cancel();
        await until(() => seen[0].closed, 'the server sees the close');
        assert.ok(!got.over);
      });

      test('after the end it does nothing to the socket that waits', async () => {
        const { origin, seen } = await serve(({ socket }) => socket.write(HEAD + LAST));
        const on = transport();
        const { exchange, got } = open(on, origin);
        await until(() => got.over, 'the end');
        exchange.cancel();
        const { got: second } = open(on, origin);
        await until(() => second.over, 'the second end');
        assert.equal(second.calls.at(-1), 'end');
        assert.equal(seen.length, 1);
      });
    });

    describe('sockets kept alive', () => {
      test('one that the peer closed meanwhile is not used', async () => {
        const { origin, seen } = await serve(({ socket }) => socket.write(HEAD + LAST));
        const on = transport();
        const first = open(on, origin).got;
        await until(() => first.over, 'the first end');
        seen[0].socket.end();
        await until(() => on.sockets === 0, 'the idle socket is gone');
        const second = open(on, origin).got;
        await until(() => second.over, 'the second end');
        assert.equal(second.calls.at(-1), 'end');
        assert.equal(seen.length, 2);
      });

      test('one that breaks under the next request before a byte came: the request goes to a fresh socket, once', async () => {
        const { origin, seen } = await serve(({ socket }, request) => {
          if (request === 1) socket.resetAndDestroy();
          else socket.write(HEAD + chunk(`answer ${request}`) + LAST);
        });
        const on = transport();
        const first = open(on, origin).got;
        await until(() => first.over, 'the first end');
        const second = open(on, origin).got;
        await until(() => second.over, 'the second end');
        assert.deepEqual(second.calls, ['sent', 'head', 'end']);
        assert.equal(second.text, 'answer 2');
        assert.equal(seen.length, 2);
      });

      test('a fresh socket that breaks is a failure: nothing is tried twice', async () => {
        const { origin, seen } = await serve(({ socket }, request) => {
          if (request === 0) socket.write(HEAD + LAST);
          else socket.resetAndDestroy();
        });
        const on = transport();
        const first = open(on, origin).got;
        await until(() => first.over, 'the first end');
        const second = open(on, origin).got;
        await until(() => second.over, 'the failure');
        assert.equal(second.error?.code, 'MILLRACE_UPSTREAM_RESET');
        assert.equal(seen.length, 2);
      });

      test('one that breaks after a byte came is a failure', async () => {
        const { origin, seen } = await serve(({ socket }, request) => {
          if (request === 0) socket.write(HEAD + LAST);
          else socket.write('HTTP/1.1 200', () => setImmediate(() => socket.resetAndDestroy()));
        });
        const on = transport();
        const first = open(on, origin).got;
        await until(() => first.over, 'the first end');
        const second = open(on, origin).got;
        await until(() => second.over, 'the failure');
        assert.equal(second.error?.code, 'MILLRACE_UPSTREAM_RESET');
        assert.equal(seen.length, 1);
      });

      test('one that nobody used for idleMs closes', async () => {
        const { origin, seen } = await serve(({ socket }) => socket.write(HEAD + LAST));
        const on = transport(60);
        const { got } = open(on, origin);
        await until(() => got.over, 'the end');
        assert.equal(on.sockets, 1);
        await until(() => seen[0].closed, 'the server sees the close');
        assert.equal(on.sockets, 0);
      });

      test('at most idleSocketsMax wait; the others close', async () => {
        const waiting: net.Socket[] = [];
        const { origin, seen } = await serve(({ socket }) => {
          waiting.push(socket);
          if (waiting.length === 3) for (const each of waiting) each.write(HEAD + LAST);
        });
        const on = transport();
        const all = [open(on, origin).got, open(on, origin).got, open(on, origin).got];
        await until(() => all.every((got) => got.over), 'three ends');
        await until(() => on.sockets === 2, 'two are kept');
        await until(() => seen.filter(({ closed }) => closed).length === 1, 'one closed');
      });
    });

    describe('sockets that are kept open', () => {
      const at = (origin: string) => ({ name: 'one', origin });

      test('are opened before anybody needs them, say nothing, serve the next exchange, and are as many again', async () => {
        const { origin, seen } = await serve(({ socket }) => socket.write(HEAD + LAST));
        const on = transport();
        on.keep(at(origin), 2);
        await until(() => on.idle(at(origin)) === 2, 'two wait');
        const { got } = open(on, origin);
        await until(() => got.over, 'the end');
        assert.deepEqual([seen.length, on.sockets], [2, 2], 'no other one was opened');
        assert.equal(seen.filter(({ text }) => text === '').length, 1);
        seen.find(({ text }) => text === '')?.socket.destroy();
        await until(() => on.sockets === 1, 'one is lost');
        on.keep(at(origin), 2);
        await until(() => on.idle(at(origin)) === 2, 'two again');
        on.keep(at(origin), 2);
        assert.equal(on.sockets, 2);
      });

      test('busy ones count, more than idleSocketsMax are not kept, and some are given back on demand', async () => {
        const { origin, seen } = await serve(({ socket }) => socket.write(HEAD));
        const on = transport();
        const { exchange } = open(on, origin);
        await until(() => seen.length === 1, 'one connection');
        on.keep(at(origin), 9);
        await until(() => on.idle(at(origin)) === 1, 'one waits');
        assert.equal(on.sockets, 2);
        on.shed(at(origin), 5);
        assert.equal(on.idle(at(origin)), 0);
        await until(() => on.sockets === 1, 'the idle one is closed');
        exchange.cancel();
      });

      test('a server that closes them unused is left in peace after a few', async () => {
        let accepted = 0;
        const server = net.createServer((socket) => {
          accepted++;
          socket.on('error', () => {}).end();
        });
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        cleanups.push(() => void server.close());
        const origin = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
        const on = transport();
        let looks = 0;
        await until(() => {
          on.keep(at(origin), 1);
          looks++;
          return looks > 20 && on.sockets === 0;
        }, 'many looks');
        assert.equal(accepted, 3);
      });

      test('where nobody listens nothing is thrown and nothing stays', async () => {
        const { origin, server } = await serve(() => {});
        server.close();
        await once(server, 'close');
        const on = transport();
        on.keep(at(origin), 2);
        await until(() => on.sockets === 0, 'refused');
        assert.equal(on.idle(at(origin)), 0);
      });

      test('close closes those that wait and those that still connect', async () => {
        const { origin } = await serve(() => {});
        const on = transport();
        on.keep(at(origin), 1);
        await until(() => on.idle(at(origin)) === 1, 'one waits');
        on.keep(at(origin), 2);
        await on.close();
        assert.equal(on.sockets, 0);
        on.keep(at(origin), 2);
        assert.equal(on.sockets, 0);
      });

      if (Made === RawTransport)
        test('nobody used it for idleMs: it stays while it is one of them', async () => {
          const { origin, seen } = await serve(() => {});
          const on = transport(30);
          on.keep(at(origin), 1);
          await until(() => on.idle(at(origin)) === 1, 'one waits');
          await new Promise((resolve) => setTimeout(resolve, 120)); // nothing may happen meanwhile
          assert.deepEqual([seen.length, on.sockets], [1, 1]);
          on.keep(at(origin), 0);
          await until(() => on.sockets === 0, 'it goes');
        });
    });
  });
}
