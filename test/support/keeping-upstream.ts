/** An upstream that keeps the body of each answer, as llama.cpp's server does for a request that names its conversation. */
import assert from 'node:assert/strict';
import type { FakeExchange } from './fake-transport.ts';
import type { Rig } from './relay-rig.ts';

export class KeepingUpstream {
  readonly #rig: Rig;
  readonly #bodyOf: (conversation: string) => Uint8Array;
  /** Bodies by conversation, until they are forgotten. */
  readonly kept = new Map<string, Uint8Array>();
  readonly forgotten: string[] = [];
  /** Positions that were asked for, in order. */
  readonly asked: number[] = [];
  /** Exchanges that await an answer, and what is left to say in each. */
  readonly open: { exchange: FakeExchange; body: Uint8Array; conversation: string }[] = [];

  constructor(rig: Rig, bodyOf: (conversation: string) => Uint8Array) {
    this.#rig = rig;
    this.#bodyOf = bodyOf;
    rig.transport.onOpen = (exchange) => this.#take(exchange);
  }

  get last() {
    const last = this.open.at(-1);
    assert.ok(last, 'no exchange was opened');
    return last;
  }

  /** Head and the next `bytes` of the exchange opened last. */
  say(bytes: number): FakeExchange {
    const { last } = this;
    last.exchange.sent().head().raw(last.body.subarray(0, bytes));
    last.body = last.body.subarray(bytes);
    return last.exchange;
  }

  /** Everything that is left, and the end. */
  finish(): void {
    const { last } = this;
    last.exchange.sent().head().raw(last.body).end();
  }

  /** Requests to forget get their answer. */
  async settle(): Promise<void> {
    await this.#rig.settle();
    for (const { exchange } of this.open.filter(({ conversation }) => conversation === '')) {
      if (exchange.live) exchange.sent().head(204).end();
    }
    await this.#rig.settle();
  }

  #take(exchange: FakeExchange): void {
    const { method, path, headers } = exchange.request;
    const url = new URL(path, 'http://upstream.test');
    if (method === 'POST') {
      const conversation = headers['x-conversation-id'];
      assert.match(conversation, /^millrace-[0-9a-f]{32}$/);
      assert.ok(!this.kept.has(conversation), 'a name is used once');
      const body = this.#bodyOf(conversation);
      this.kept.set(conversation, body);
      this.open.push({ exchange, body, conversation });
      return;
    }
    assert.equal(url.pathname, '/v1/stream');
    assert.equal(headers['content-type'], undefined);
    const conversation = url.searchParams.get('conv_id') ?? '';
    const body = this.kept.get(conversation);
    if (method === 'DELETE') {
      assert.ok(this.kept.delete(conversation), 'forgotten once');
      this.forgotten.push(conversation);
      this.open.push({ exchange, body: new Uint8Array(), conversation: '' });
      return;
    }
    const from = Number(url.searchParams.get('from'));
    this.asked.push(from);
    assert.ok(body, 'what was forgotten is not asked for');
    this.open.push({ exchange, body: body.subarray(from), conversation });
  }
}
