/** The worker of relay-floor.ts. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { must } from '../../../src/must.ts';
import { MiniWriter } from './mini-ring.ts';
import { type Ask, Responses } from './responses.ts';

const port = parentPort;
must(port, 'this file is the entry of a thread');
const { upstream, ring } = workerData as { upstream: string; ring: SharedArrayBuffer };
const url = new URL(upstream);
const writer = new MiniWriter(ring, () => port.postMessage(0));
const sockets = new Map<number, Socket>();
const KEY = Buffer.from('"content":"');
const END = Buffer.from('data: [DONE]');
const HEAD = Buffer.from('{"type":"response.output_text.delta","sequence_number":');
const TAIL = Buffer.from('","logprobs":[]}');
const NEWLINE = 10;
const QUOTE = 34;
const BACKSLASH = 92;

/** One stream: finds `"content":"…"` in the bytes, whatever lies around it. */
class Relay {
  readonly #slot: number;
  readonly #out: Responses;
  readonly #middle: Buffer;
  #sequence = 4;
  #text = '';
  #left: Buffer | undefined;
  #begun = false;

  constructor(slot: number, ask: Ask) {
    const id = `resp_${randomBytes(16).toString('hex')}`;
    const item = id.replace('resp_', 'msg_');
    this.#slot = slot;
    this.#middle = Buffer.from(`,"item_id":"${item}","output_index":0,"content_index":0,"delta":"`);
    this.#out = new Responses(id, ask.model, (event) => this.#object(event));
  }

  #object(event: object): void {
    const bytes = Buffer.from(JSON.stringify(event));
    writer.bytes.set(bytes, writer.place(bytes.length));
    writer.publish(this.#slot, bytes.length);
  }

  #delta(from: Buffer, start: number, end: number): void {
    const { bytes } = writer;
    const begin = writer.place(HEAD.length + 10 + this.#middle.length + end - start + TAIL.length);
    let at = begin;
    bytes.set(HEAD, at);
    at += HEAD.length;
    const sequence = this.#sequence++;
    for (let unit = 10 ** Math.floor(Math.log10(sequence)); unit >= 1; unit /= 10) {
      bytes[at++] = 48 + (Math.floor(sequence / unit) % 10);
    }
    bytes.set(this.#middle, at);
    at += this.#middle.length;
    for (let i = start; i < end; i++) bytes[at++] = from[i];
    bytes.set(TAIL, at);
    writer.publish(this.#slot, at + TAIL.length - begin);
    this.#text += from.toString('latin1', start, end);
  }

  feed(read: Buffer): void {
    const all = this.#left ? Buffer.concat([this.#left, read]) : read;
    this.#left = undefined;
    if (!this.#begun) {
      this.#begun = true;
      this.#out.begin();
    }
    let at = 0;
    for (;;) {
      const key = all.indexOf(KEY, at);
      if (key < 0) break;
      const start = key + KEY.length;
      let end = start;
      while (end < all.length && all[end] !== QUOTE) end += all[end] === BACKSLASH ? 2 : 1;
      if (end >= all.length) break;
      if (end > start) this.#delta(all, start, end);
      at = end;
    }
    if (all.indexOf(END, at) >= 0) this.#out.rest(this.#sequence, this.#text);
    const line = all.lastIndexOf(NEWLINE) + 1;
    if (Math.max(line, at) < all.length) this.#left = Buffer.from(all.subarray(Math.max(line, at)));
    writer.flush();
  }
}

function open(slot: number, ask: Ask): void {
  const relay = new Relay(slot, ask);
  const body = JSON.stringify({
    model: ask.model,
    messages: [{ role: 'user', content: ask.input }],
    stream: true,
    stream_options: { include_usage: true },
  });
  const socket = connect({
    host: url.hostname,
    port: Number(url.port),
    onread: {
      buffer: shared,
      callback(length: number) {
        relay.feed(shared.subarray(0, length));
        return true;
      },
    },
  });
  socket.on('error', () => {});
  socket.setNoDelay(true);
  const path = `${url.pathname}/chat/completions`;
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  sockets.set(slot, socket);
}

const shared = Buffer.alloc(65_536);
port.on('message', ({ slot, ask }: { slot: number; ask?: Ask }) => {
  if (ask) open(slot, ask);
  else {
    sockets.get(slot)?.destroy();
    sockets.delete(slot);
  }
});
