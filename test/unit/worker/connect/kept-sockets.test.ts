/** Conversations over kept sockets, against a server that has nothing but what its sockets told it: it must always see what a turn sent whole would have said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeResponses } from '../../../../src/protocol/providers/openai-responses-request.ts';
import type { Message } from '../../../../src/protocol/request.ts';
import { EventSocketTransport } from '../../../../src/worker/connect/event-socket.ts';
import { type FakeSocket, FakeSockets } from '../../../support/fake-sockets.ts';
import { runs } from '../../../support/runs.ts';

const upstream = { name: 'one', origin: 'ws://one.test', continuesById: true };
const text = (said: string) => [{ type: 'text' as const, text: said }];

/** What a response may say, and how the next turn tells it. */
type Said =
  | { readonly kind: 'text' | 'two parts' | 'refusal' | 'incomplete'; readonly text: string }
  | { readonly kind: 'call' | 'text and call' | 'call and text'; readonly text: string };

function outputOf({ kind, text: said }: Said): object[] {
  const part = { type: 'output_text', text: said, annotations: [] };
  const message = (...content: object[]) => ({
    id: 'm',
    type: 'message',
    role: 'assistant',
    content,
  });
  const call = { type: 'function_call', id: 'f', call_id: 'c1', name: 'look', arguments: '{}' };
  const thought = { id: 'r', type: 'reasoning', summary: [] };
  if (kind === 'call') return [thought, call];
  if (kind === 'text and call') return [message(part), call];
  if (kind === 'call and text') return [call, message(part)];
  if (kind === 'two parts') return [message(part, part)];
  if (kind === 'refusal') return [message({ type: 'refusal', refusal: said })];
  return [thought, message(part)];
}

/** As our own dialect remembers it. */
function messageOf({ kind, text: said }: Said): Message {
  const toolCalls = [{ id: 'c1', name: 'look', arguments: '{}' }];
  if (kind === 'call') return { role: 'assistant', content: [], toolCalls };
  if (kind === 'text and call' || kind === 'call and text')
    return { role: 'assistant', content: text(said), toolCalls };
  const content = kind === 'two parts' ? [...text(said), ...text(said)] : text(said);
  return { role: 'assistant', content };
}

/** Keeps the last response of each socket, and answers when it is told to. */
class Server {
  readonly sockets = new FakeSockets();
  readonly #cache = new Map<FakeSocket, { id: string; items: unknown[] }>();
  readonly #seen = new Map<FakeSocket, number>();
  forgets = false;
  answered = 0;
  continued = 0;
  bytes = 0;

  /** The items of the one question that waits, reconstructed; undefined: it is asked again, whole. */
  asked(): { socket: FakeSocket; items: unknown[] } | undefined {
    for (const socket of this.sockets.all) {
      if (!socket.live) continue;
      if (!this.#seen.has(socket)) {
        this.#seen.set(socket, 0);
        socket.open();
      }
      const seen = this.#seen.get(socket) ?? 0;
      if (socket.got.length === seen) continue;
      this.#seen.set(socket, seen + 1);
      const sent = socket.got[seen];
      this.bytes += sent.length;
      const create = JSON.parse(sent) as { input: unknown[]; previous_response_id?: string };
      const id = create.previous_response_id;
      if (id === undefined) return { socket, items: create.input };
      const cached = this.#cache.get(socket);
      if (this.forgets || cached?.id !== id) {
        const error = { code: 'previous_response_not_found', param: 'previous_response_id' };
        socket.say(JSON.stringify({ type: 'error', status: 400, error }));
        return this.asked();
      }
      this.continued += 1;
      return { socket, items: [...cached.items, ...create.input] };
    }
    return undefined;
  }

  answer(socket: FakeSocket, items: unknown[], said: Said): void {
    const id = `resp_${++this.answered}`;
    const output = outputOf(said);
    this.#cache.set(socket, { id, items: [...items, ...output] });
    socket.say('{"type":"response.output_text.delta","delta":"x"}');
    const status = said.kind === 'incomplete' ? 'incomplete' : 'completed';
    socket.say(JSON.stringify({ type: `response.${status}`, response: { id, status, output } }));
  }
}

/** The items as our encoding has them, so that both ways can be compared. */
function normal(items: readonly unknown[]): unknown[] {
  return items.flatMap((value) => {
    const item = value as Record<string, unknown>;
    if (item['type'] === 'reasoning') return [];
    if (item['type'] === 'function_call') {
      const { call_id, name, arguments: args } = item;
      return [{ type: 'function_call', call_id, name, arguments: args }];
    }
    if (item['type'] !== 'message') return [item];
    const content = (item['content'] as { text: string }[]).map((part) => ({
      type: 'output_text',
      text: part.text,
    }));
    return [{ role: 'assistant', content }];
  });
}

class Talks {
  readonly server = new Server();
  readonly transport = new EventSocketTransport(
    { idleSocketsMax: 3, idleMs: 60_000 },
    this.server.sockets,
  );
  readonly conversations: Message[][] = [[], [], []];

  async turn(which: number, ask: string, said: Said): Promise<void> {
    const messages = this.conversations[which];
    const last = messages.at(-1);
    if (last?.role === 'assistant' && last.toolCalls)
      messages.push({ role: 'tool', callId: 'c1', content: ask });
    else messages.push({ role: 'user', content: text(ask) });
    const request = encodeResponses({ model: 'm', messages }, { name: 'one', model: 'm' });
    let end = '';
    this.transport.open(upstream, request, {
      sent() {},
      head: (status) => void (end = `head ${status}`),
      data() {},
      end: () => void (end = 'end'),
      fail: (error) => void (end = error.code),
    });
    await Promise.resolve();
    const asked = this.server.asked();
    assert.ok(asked, 'somebody is asked');
    const whole = (JSON.parse(request.body) as { input: unknown[] }).input;
    assert.deepEqual(normal(asked.items), whole, 'the server sees what was meant');
    this.server.answer(asked.socket, asked.items, said);
    assert.equal(end, 'end');
    messages.push(messageOf(said));
  }
}

const kinds = [
  'text',
  'text',
  'text',
  'call',
  'text and call',
  'call and text',
  'two parts',
  'refusal',
  'incomplete',
] as const;

test('whatever is said, forgotten, changed or lost, the server sees each turn as if it had been sent whole', async () => {
  const step = fc.record({
    which: fc.constantFrom(0, 0, 0, 0, 1, 2),
    ask: fc.string({ maxLength: 5 }),
    said: fc.record({ kind: fc.constantFrom(...kinds), text: fc.string({ maxLength: 5 }) }),
    event: fc.constantFrom('none', 'none', 'none', 'forget', 'remember', 'change', 'lose'),
  });
  let continued = 0;
  const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
    const talks = new Talks();
    for (const { which, ask, said, event } of steps) {
      if (event === 'forget' || event === 'remember') talks.server.forgets = event === 'forget';
      const messages = talks.conversations[which];
      // Its client tells it otherwise than it was.
      if (event === 'change' && messages.length > 0)
        messages[0] = { role: 'user', content: text('!') };
      if (event === 'lose')
        for (const socket of talks.server.sockets.all) if (socket.live) socket.gone();
      await talks.turn(which, ask, said);
    }
    continued += talks.server.continued;
    await talks.transport.close();
  });
  await fc.assert(property, runs(300, 10_000));
  assert.ok(continued > 100, `${continued} turns were continued`);
});

test('a conversation of twenty turns is sent once, not twenty times; a server that forgets again and again is told everything', async (t) => {
  const talk = async (forgets: boolean, turns: number) => {
    const talks = new Talks();
    talks.server.forgets = forgets;
    for (let n = 0; n < turns; n++)
      await talks.turn(0, 'q'.repeat(400), { kind: 'text', text: 'a'.repeat(1_600) });
    await talks.transport.close();
    return talks.server;
  };
  const kept = await talk(false, 20);
  assert.equal(kept.continued, 19);
  const plain = await talk(true, 20);
  assert.equal(plain.continued, 0);
  // Three questions were asked twice.
  assert.equal(plain.sockets.all.length, 1);
  assert.equal(plain.sockets.all[0].got.length, 23);
  const each = (bytes: number) => `${(bytes / 20 / 1000).toFixed(1)} KB a turn`;
  t.diagnostic(`continued ${each(kept.bytes)}, whole ${each(plain.bytes)}`);
  assert.ok(kept.bytes < plain.bytes / 15);
});

test('turns of other conversations take the sockets that have waited longest', async () => {
  const talks = new Talks();
  const said: Said = { kind: 'text', text: 'a' };
  for (const which of [0, 1, 2]) await talks.turn(which, 'q', said);
  assert.equal(talks.server.sockets.all.length, 1, 'one after the other: one socket');
  assert.equal(talks.server.continued, 0);
  await talks.turn(2, 'q', said);
  assert.equal(talks.server.continued, 1);
  await talks.transport.close();
});
