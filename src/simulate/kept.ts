/**
 * Answers that are kept, and go on when their client has left: as llama.cpp's server does for a request that names a conversation, and OpenAI's Responses
 * API for one with `background`. Faults break the client's connection only. Bounded in number and bytes; the oldest complete one goes first.
 */
import type { ServerResponse } from 'node:http';
import type { Play } from './play.ts';
import type { Sink } from './sink.ts';

const ENTRIES_MAX = 64;
const BYTES_MAX = 8 * 1024 * 1024;

/** One answer: its body so far, and who reads it. Where `play` writes. */
export class KeptAnswer implements Sink {
  readonly #readers = new Set<{ response: ServerResponse; at: number }>();
  #body = Buffer.alloc(0);
  #isDone = false;
  play: Play | undefined;

  get isDone(): boolean {
    return this.#isDone;
  }

  get body(): Buffer {
    return this.#body;
  }

  /** Everything from this byte on, and what comes. */
  read(response: ServerResponse, from: number): void {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.flushHeaders();
    const reader = { response, at: Math.min(from, this.#body.length) };
    this.#readers.add(reader);
    response.on('drain', () => this.#feed(reader));
    response.once('close', () => this.#readers.delete(reader));
    this.#feed(reader);
  }

  stop(): void {
    this.play?.stop();
    this.#isDone = true;
    for (const { response } of this.#readers) response.destroy();
  }

  head(): void {}

  write(bytes: string | Uint8Array): boolean {
    this.#body = Buffer.concat([this.#body, Buffer.from(bytes as string)]);
    if (this.#body.length > BYTES_MAX) this.stop();
    for (const reader of this.#readers) this.#feed(reader);
    return !this.#isDone;
  }

  end(): void {
    this.#isDone = true;
    for (const reader of this.#readers) this.#feed(reader);
  }

  cut(): void {
    this.end();
  }

  reset(): void {
    this.end();
  }

  onDrained(): void {}
  onGone(): void {}

  #feed(reader: { response: ServerResponse; at: number }): void {
    const { response, at } = reader;
    if (response.writableNeedDrain) return;
    reader.at = this.#body.length;
    if (at < this.#body.length) response.write(this.#body.subarray(at));
    if (this.#isDone) response.end();
  }
}

export class KeptAnswers {
  readonly #answers = new Map<string, KeptAnswer>();

  get size(): number {
    return this.#answers.size;
  }

  get(name: string): KeptAnswer | undefined {
    return this.#answers.get(name);
  }

  /** Undefined: too many run. */
  open(name: string): KeptAnswer | undefined {
    this.forget(name);
    if (this.#answers.size >= ENTRIES_MAX) {
      const [oldest] = [...this.#answers].find(([, { isDone }]) => isDone) ?? [];
      if (oldest === undefined) return undefined;
      this.#answers.delete(oldest);
    }
    const answer = new KeptAnswer();
    this.#answers.set(name, answer);
    return answer;
  }

  forget(name: string): boolean {
    this.#answers.get(name)?.stop();
    return this.#answers.delete(name);
  }

  close(): void {
    for (const name of [...this.#answers.keys()]) this.forget(name);
  }
}

/** Where the event behind the one with this number begins in a body. */
export function behindEvent(body: Buffer, number: number): number {
  const at = body.indexOf(`"sequence_number":${number},`);
  const end = at < 0 ? -1 : body.indexOf('\n\n', at);
  return end < 0 ? body.length : end + 2;
}
