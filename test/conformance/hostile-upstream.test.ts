/**
 * Goal: an upstream that lies, floods or speaks nonsense costs one typed failure: no memory, no crash, no second request over the same socket, and no credential
 * anywhere else. Method: each trick over real sockets through both transports, into a decoder, as an attempt joins them; what is left is measured.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { MillraceError } from '../../src/errors.ts';
import type { Decoder, HeaderReader } from '../../src/protocol/provider.ts';
import { openaiChat } from '../../src/protocol/providers/openai-chat.ts';
import type { Exchange, ExchangeHandler, Transport } from '../../src/protocol/transport.ts';
import { HttpTransport } from '../../src/worker/connect/http.ts';
import { RawTransport } from '../../src/worker/connect/raw.ts';
import { chunkOf, eventsOf, stop } from '../support/decode.ts';
import { TraceSink } from '../support/trace.ts';
import { until } from '../support/until.ts';

const CANARY = 'canary-key-0d9f';
const KiB = 1024;
const MiB = 1024 * KiB;
const EVENT_BYTES_MAX = 256 * KiB;
/** What may be held beyond one event: buffers and garbage of both ends of the sockets, which live in this process. A flood brings far more in that time. */
const SLACK_BYTES = 48 * MiB;
/** Where our own clocks would end it. */
const CLOCK_MS = 400;

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n';
const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n\r\n`;
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const some = eventsOf(chunkOf({ content: 'some ' }));
const whole = some + eventsOf(stop, '[DONE]');
const LAST = '0\r\n\r\n';
const length = (value: string) => `${HEAD}content-length: ${value}\r\n\r\n${whole}`;

/** An answer: said once, or said again and again until the peer is gone. */
type Trick = string | Buffer | { readonly first: string; readonly forever: string };

/** What becomes of it: a failure, a complete answer after which the socket is not used again, or nothing until a clock of ours ends it. */
const tricks: readonly (readonly [name: string, trick: Trick, end: RegExp])[] = [
  ['a bomb in gzip, though identity was asked for', bomb(), /TRUNCATED|TOO_LARGE|MALFORMED|RESET/],
  ['headers without an end', { first: HEAD, forever: `x-more: ${'y'.repeat(1_000)}\r\n` }, /RESET/],
  ['one header without an end', { first: `${HEAD}x: `, forever: 'y'.repeat(8_000) }, /RESET/],
  [
    'a status line without an end',
    { first: 'HTTP/1.1 200 ', forever: 'O'.repeat(8_000) },
    /RESET|clock/,
  ],
  [
    'a line without an end',
    { first: `${HEAD}\r\ndata: "`, forever: 'x'.repeat(64 * KiB) },
    /TOO_LARGE/,
  ],
  [
    'an event of lines without an end',
    { first: `${HEAD}\r\n`, forever: `data: ${'x'.repeat(60 * KiB)}\n` },
    /TOO_LARGE/,
  ],
  [
    'one JSON value without an end',
    { first: `${HEAD}\r\n{"a":"`, forever: 'x'.repeat(64 * KiB) },
    /TOO_LARGE/,
  ],
  [
    'a comment without an end',
    { first: `${HEAD}\r\n:`, forever: 'x'.repeat(64 * KiB) },
    /TOO_LARGE|clock/,
  ],
  [
    'comments without an end',
    { first: `${HEAD}\r\n`, forever: ': still here\n\n'.repeat(500) },
    /clock/,
  ],
  ['a chunk of 2^63 bytes', `${CHUNKED}8000000000000000\r\n${whole}`, /RESET|stop/],
  ['a chunk of 2^64 + 5 bytes', `${CHUNKED}10000000000000005\r\n${whole}`, /RESET/],
  ['a negative chunk', `${CHUNKED}-5\r\n${whole}`, /RESET/],
  ['a chunk size without an end', { first: CHUNKED, forever: '0'.repeat(8_000) }, /RESET|clock/],
  [
    'a chunk extension without an end',
    { first: `${CHUNKED}5;x=`, forever: 'y'.repeat(8_000) },
    /RESET|clock/,
  ],
  ['a chunk without its end', `${CHUNKED}5\r\nhelloXX${LAST}`, /RESET/],
  ['a negative length', length('-5'), /RESET/],
  ['a length that is no number', length('1e3'), /RESET/],
  ['a length of 2^70', length('1180591620717411303424'), /RESET/],
  ['two lengths', `${HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\n${whole}`, /RESET/],
  ['a list of lengths', length('5, 6'), /RESET/],
  [
    'a length and chunks',
    `${HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n${chunk(whole)}${LAST}`,
    /RESET/,
  ],
  ['bytes that are no UTF-8', badUtf8(), /MALFORMED/],
  [
    'HTTP/1.0 that breaks off',
    `HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${some}`,
    /TRUNCATED/,
  ],
  [
    'informational answers without an end',
    { first: '', forever: 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(50) },
    /clock|RESET/,
  ],
  [
    'an upgrade nobody asked for',
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n${whole}`,
    /RESET/,
  ],
  ['a header without a colon', `${HEAD}nonsense\r\n\r\n${whole}`, /RESET/],
  [
    'a header with a NUL',
    `${HEAD}x: a\0b\r\ncontent-length: ${whole.length}\r\n\r\n${whole}`,
    /RESET/,
  ],
  ['a banner of another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', /RESET/],
  ['nothing but a close', '', /RESET/],
  ['garbage for a trailer', `${CHUNKED}${chunk(whole)}0\r\ngarbage\r\n\r\n`, /stop/],
  [
    'a second answer behind the first',
    `${CHUNKED}${chunk(whole)}${LAST}${CHUNKED}${chunk(some)}${LAST}`,
    /stop/,
  ],
  ['garbage behind a complete answer', `${CHUNKED}${chunk(whole)}${LAST}garbage`, /stop/],
];

function bomb(): Buffer {
  const packed = gzipSync(Buffer.alloc(64 * MiB, 0x20), { level: 9 });
  const head = `${HEAD}content-encoding: gzip\r\ncontent-length: ${packed.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), packed]);
}

function badUtf8(): Buffer {
  const body = Buffer.from(`${some}data: {"choices":[{"delta":{"content":"#"}}]}\n\n`);
  body[body.indexOf('#')] = 0xff;
  return Buffer.concat([Buffer.from(`${HEAD}content-length: ${body.length}\r\n\r\n`), body]);
}

interface Hostile {
  readonly origin: string;
  /** Requests that each connection carried. */
  readonly served: number[];
  /** Everything that any of them heard. */
  heard: string;
}

const cleanups: (() => void)[] = [];
after(() => {
  for (const cleanup of cleanups) cleanup();
});

async function hostile(trick: Trick): Promise<Hostile> {
  const served: number[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    const at = served.push(0) - 1;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.on('data', (bytes) => {
      found.heard += bytes.toString('latin1');
      if (!bytes.includes('"end"')) return;
      served[at]++;
      if (typeof trick === 'string' || Buffer.isBuffer(trick)) {
        // A close would end what is not ended otherwise.
        if (/content-length|chunked/.test(trick.toString('latin1', 0, 400))) socket.write(trick);
        else socket.end(trick);
        if (!keepsOpen(trick)) socket.end();
        return;
      }
      socket.write(trick.first);
      const more = () => {
        while (!socket.destroyed && socket.write(trick.forever));
        socket.once('drain', more);
      };
      more();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  const found: Hostile = { origin: `http://127.0.0.1:${port}`, served, heard: '' };
  return found;
}

/** Complete answers: the peer would be glad to carry another request. */
const keepsOpen = (trick: string | Buffer) => trick.includes(chunk(whole));

/** As an attempt does: head, decoder, and a cancel when the decoder has heard enough. */
class Reader implements ExchangeHandler {
  readonly sink = new TraceSink();
  ends = 0;
  status = 0;
  exchange: Exchange | undefined;
  #decoder: Decoder | undefined;

  sent(): void {}
  head(status: number, headers: HeaderReader): void {
    this.status = status;
    if (status === 200) {
      const bounds = { eventBytesMax: EVENT_BYTES_MAX };
      this.#decoder = openaiChat.decoder('hostile', this.sink, bounds);
    } else {
      const body = Buffer.alloc(0);
      this.sink.fail(openaiChat.refusal('hostile', status, headers, body, CANARY));
      this.exchange?.cancel();
    }
  }
  data(bytes: Uint8Array): void {
    this.#decoder?.push(bytes);
    if (this.sink.error) this.exchange?.cancel();
  }
  end(): void {
    this.ends++;
    this.#decoder?.close();
  }
  fail(error: MillraceError): void {
    this.ends++;
    if (this.#decoder) this.#decoder.close(error);
    else this.sink.fail(error);
  }
}

const held = () => {
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
};

for (const Made of [RawTransport, HttpTransport]) {
  describe(`a hostile upstream, read by ${Made.name}`, () => {
    function transport(): Transport {
      const made = new Made({ idleSocketsMax: 4, idleMs: 5_000 });
      cleanups.push(() => void made.close());
      return made;
    }

    function ask(on: Transport, origin: string): Reader {
      const reader = new Reader();
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${CANARY}` };
      const request = {
        method: 'POST',
        path: '/v1/chat/completions',
        headers,
        body: '{"end":1}',
      } as const;
      reader.exchange = on.open({ name: 'hostile', origin }, request, reader);
      return reader;
    }

    /** Until it ends, or the clock of ours does it. */
    async function ended(reader: Reader): Promise<string> {
      const fromMs = performance.now();
      let most = 0;
      const before = held();
      await until(() => {
        most = Math.max(most, held() - before);
        return reader.sink.end !== undefined || performance.now() - fromMs > CLOCK_MS;
      }, 'an end or the clock');
      assert.ok(most < EVENT_BYTES_MAX + SLACK_BYTES, `${Math.round(most / MiB)} MiB were held`);
      if (reader.sink.end !== undefined) return reader.sink.end;
      reader.exchange?.cancel();
      return 'clock';
    }

    for (const [name, trick, end] of tricks) {
      test(`${name}: one end, little memory, and the socket is not used again`, async () => {
        const peer = await hostile(trick);
        const on = transport();
        const first = ask(on, peer.origin);
        assert.match(await ended(first), end);
        assert.ok(first.ends <= 1);
        const { error } = first.sink;
        if (error) assert.ok(!JSON.stringify(error.toWire()).includes(CANARY));
        await until(() => on.sockets === 0, 'the socket to be closed');
        const second = ask(on, peer.origin);
        assert.match(await ended(second), end);
        assert.ok(
          peer.served.every((requests) => requests <= 1),
          `requests per connection: ${peer.served.join()}`,
        );
        await on.close();
      });
    }

    test('a redirect, also to a private address, is an answer like another: nobody follows it, and the key goes nowhere', async () => {
      const trap = await hostile(`${CHUNKED}${chunk(whole)}${LAST}`);
      for (const status of [301, 302, 303, 307, 308]) {
        const location = `location: ${trap.origin}/v1/chat/completions`;
        const peer = await hostile(
          `HTTP/1.1 ${status} Go\r\n${location}\r\ncontent-length: 0\r\n\r\n`,
        );
        const on = transport();
        const reader = ask(on, peer.origin);
        assert.match(await ended(reader), /^MILLRACE_UPSTREAM_/);
        await on.close();
      }
      assert.deepEqual(trap.served, []);
      assert.equal(trap.heard, '');
    });

    test('bytes that come before they are asked for do not become somebody’s answer', async () => {
      const sockets: net.Socket[] = [];
      const server = net.createServer((socket) => {
        sockets.push(socket);
        socket
          .on('error', () => {})
          .once('data', () => socket.write(`${CHUNKED}${chunk(whole)}${LAST}`));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      cleanups.push(
        () => server.close(),
        () => sockets.forEach((socket) => socket.destroy()),
      );
      const { port } = server.address() as net.AddressInfo;
      const on = transport();
      const first = ask(on, `http://127.0.0.1:${port}`);
      assert.equal(await ended(first), 'stop');
      await until(() => first.ends === 1, 'the end of the body');
      assert.equal(on.sockets, 1, 'it waits idle');
      sockets[0].write(`${CHUNKED}${chunk(eventsOf(chunkOf({ content: 'poison' })))}${LAST}`);
      await until(() => on.sockets === 0, 'the idle socket to be closed');
      const second = ask(on, `http://127.0.0.1:${port}`);
      assert.equal(await ended(second), 'stop');
      assert.deepEqual(
        second.sink.steps.map((step) => 'text' in step && step.text),
        ['some '],
      );
      assert.equal(sockets.length, 2);
      await on.close();
    });
  });
}
