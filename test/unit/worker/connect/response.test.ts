import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { MalformedResponse, ResponseReader } from '../../../../src/worker/connect/response.ts';
import { seeded } from '../../../support/seed.ts';

interface Seen {
  status: number;
  headers: Record<string, string>;
  body: string;
  done: boolean | undefined;
  pieces: number;
}

/** Pushes a response in the given pieces (each in memory of its own, poisoned afterwards). */
function read(pieces: readonly string[], end = false): Seen {
  const seen: Seen = { status: 0, headers: {}, body: '', done: undefined, pieces: 0 };
  const reader = new ResponseReader({
    head(status, headers) {
      seen.status = status;
      seen.headers = Object.fromEntries(headers);
    },
    body(bytes) {
      seen.pieces += 1;
      seen.body += Buffer.from(bytes).toString('latin1');
    },
    done(reusable) {
      assert.equal(seen.done, undefined, 'done comes once');
      seen.done = reusable;
    },
  });
  for (const piece of pieces) {
    const bytes = new Uint8Array(Buffer.from(piece, 'latin1'));
    reader.push(bytes);
    bytes.fill(0x7e);
  }
  if (end) reader.end();
  return seen;
}

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

test('a body of a given length, with the connection free afterwards', () => {
  const seen = read([`${OK}Content-Length: 5\r\nX: a\r\nx:  b \r\n\r\nhello`]);
  assert.deepEqual(seen, {
    status: 200,
    headers: { 'content-length': '5', x: 'a, b' },
    body: 'hello',
    done: true,
    pieces: 1,
  });
});

test('the chunks of one push leave as one range', () => {
  const seen = read([
    `${CHUNKED}3;name="v"\r\nabc\r\nA\r\n0123456789\r\n1\r\nz\r\n0\r\nT: 1\r\n\r\n`,
  ]);
  assert.deepEqual([seen.body, seen.pieces, seen.done], ['abc0123456789z', 1, true]);
});

test('what came before nonsense in the same push is handed over', () => {
  const seen: string[] = [];
  const reader = new ResponseReader({
    head: () => void seen.push('head'),
    body: (bytes) => void seen.push(Buffer.from(bytes).toString('latin1')),
    done: () => void seen.push('done'),
  });
  const bytes = Buffer.from(`${CHUNKED}3\r\nabc\r\n2\r\nde\r\nzz\r\n`);
  assert.throws(() => reader.push(bytes), MalformedResponse);
  assert.deepEqual(seen, ['head', 'abcde']);
});

test('a body without a length ends with the connection, which is then used up', () => {
  assert.equal(read([`${OK}\r\nall of it`]).done, undefined);
  const seen = read([`${OK}\r\nall `, 'of it'], true);
  assert.deepEqual([seen.body, seen.done], ['all of it', false]);
});

test('no body: 204, 304, length 0', () => {
  for (const head of [
    'HTTP/1.1 204 No Content\r\n',
    'HTTP/1.1 304\r\n',
    `${OK}Content-Length: 0\r\n`,
  ]) {
    const seen = read([`${head}\r\n`]);
    assert.deepEqual([seen.body, seen.done], ['', true], head);
  }
});

test('the connection is used up after "close", after HTTP/1.0, and when more came than the response', () => {
  const length = 'Content-Length: 1\r\n';
  const cases: [text: string, reusable: boolean][] = [
    [`${OK}${length}Connection: Foo, CLOSE\r\n\r\nx`, false],
    [`HTTP/1.0 200 OK\r\n${length}\r\nx`, false],
    [`HTTP/1.0 200 OK\r\n${length}Connection: keep-alive\r\n\r\nx`, true],
    [`${OK}${length}\r\nxHTTP/1.1`, false],
    [`${OK}${length}\r\nx`, true],
  ];
  for (const [text, reusable] of cases) assert.equal(read([text]).done, reusable, text);
});

test('what two readers could understand differently is an error', () => {
  const bad = [
    'HTTP/2 200\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    'HTTP/1.1 200 OK\n\n\r\n\r\n',
    `${OK}no colon\r\n\r\n`,
    `${OK}A : space before the colon\r\n\r\n`,
    `${OK}A: folded\r\n line\r\n\r\n`,
    `${OK}A: nul\0\r\n\r\n`,
    `${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx`,
    `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`,
    `${OK}Content-Length: +1\r\n\r\nx`,
    `${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    `${CHUNKED}\r\n`,
    `${CHUNKED}g\r\n`,
    `${CHUNKED}1\nx\r\n`,
    `${CHUNKED}1\r\nxx\r\n`,
    `${CHUNKED}-1\r\n`,
    `${CHUNKED}fffffffffffff\r\n`,
    `${CHUNKED}0\r\nbad trailer\r\n\r\n`,
    `${CHUNKED}0\r\nContent-Length: 3\r\n\r\n`,
    `${CHUNKED}1 \r\nx\r\n`,
    `${CHUNKED}1;\r\nx\r\n`,
    `${CHUNKED}1;a="\r\nx\r\n`,
  ];
  for (const text of bad) {
    assert.throws(() => read([text]), MalformedResponse, JSON.stringify(text));
    assert.throws(
      () => read(text.split('')),
      MalformedResponse,
      `in single bytes: ${JSON.stringify(text)}`,
    );
  }
});

test('a response that stops early is an error, wherever it stops', () => {
  for (const whole of [`${CHUNKED}3\r\nabc\r\n0\r\n\r\n`, `${OK}Content-Length: 3\r\n\r\nabc`]) {
    assert.equal(read([whole], true).done, true);
    for (let cut = 0; cut < whole.length; cut++) {
      assert.throws(() => read([whole.slice(0, cut)], true), MalformedResponse, `${cut} bytes`);
    }
  }
});

test('heads and size lines are bounded', () => {
  const head = (bytes: number) => `${OK}A: ${'x'.repeat(bytes - OK.length - 7)}\r\n\r\n`;
  assert.equal(read([head(64 * 1024)]).status, 200);
  assert.throws(() => read([head(64 * 1024 + 1)]), MalformedResponse);
  const fields = (count: number) => `${OK}${'a: b\r\n'.repeat(count)}\r\n`;
  assert.equal(read([fields(997)]).status, 200);
  assert.throws(() => read([fields(998)]), MalformedResponse);
  const line = (bytes: number) => `${CHUNKED}1;${'x'.repeat(bytes - 3)}\r\n`;
  assert.equal(read([line(4096)]).done, undefined);
  assert.throws(() => read([line(4097)]), MalformedResponse);
});

/** Random responses with what they mean. */
function* responses(next: () => number, count: number) {
  const pick = (n: number) => Math.floor(next() * n);
  for (let n = 0; n < count; n++) {
    let text = `${OK}A: ${'v'.repeat(pick(30))}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    let body = '';
    for (let chunks = pick(6); chunks > 0; chunks--) {
      const piece = Array.from({ length: 1 + pick(40) }, () => '\r\n0a;x'[pick(6)]).join('');
      body += piece;
      const size = piece.length.toString(16);
      text += `${next() < 0.5 ? size : `00${size.toUpperCase()}`}${next() < 0.2 ? ';e=1' : ''}\r\n${piece}\r\n`;
    }
    yield { text: `${text}0\r\n${next() < 0.3 ? 'T: 1\r\n' : ''}\r\n`, body };
  }
}

test('however a response is split, it reads the same', () => {
  const random = seeded('response splits');
  for (const { text, body } of responses(() => random.next(), 400)) {
    const pieces: string[] = [];
    for (let at = 0; at < text.length; ) {
      const length = 1 + Math.floor(random.next() * random.next() * 40);
      pieces.push(text.slice(at, at + length));
      at += length;
    }
    const seen = read(pieces);
    assert.deepEqual([seen.body, seen.done], [body, true], JSON.stringify(text));
    assert.equal(read(text.split('')).body, body);
  }
});

test("Node's own parser reads the same responses alike", async () => {
  const random = seeded('response oracle');
  const all = [...responses(() => random.next(), 60)].map(({ text }) => text);
  let served = 0;
  const server = net.createServer((socket) => {
    socket.on('data', () => void socket.write(Buffer.from(all[served++], 'latin1')));
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (const text of all) {
      const request = http.get({ host: '127.0.0.1', port, agent });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      let body = '';
      response.setEncoding('latin1');
      for await (const piece of response) body += piece;
      const seen = read([text]);
      assert.equal(seen.body, body);
      assert.deepEqual(seen.headers, response.headers);
    }
  } finally {
    agent.destroy();
    server.close();
  }
});
