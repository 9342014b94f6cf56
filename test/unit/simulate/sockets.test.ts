/** The simulated upstream's WebSockets, by a client that somebody else wrote. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { type SimulatedServer, startSimulated } from '../../../src/simulate/server.ts';
import { until } from '../../support/until.ts';

type Event = { type: string; [key: string]: unknown };

let server: SimulatedServer;
const opened: WebSocket[] = [];
before(async () => {
  server = await startSimulated({ firstTokenMs: 1, tokensPerSecond: 5_000, jitter: 0 });
});
after(async () => {
  for (const socket of opened) socket.terminate();
  await server.close();
});

/** What a socket said, and how it ended. */
class Client {
  readonly events: Event[] = [];
  readonly texts: string[] = [];
  readonly socket: WebSocket;
  closed: number | undefined;

  constructor(path: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`${server.origin.replace('http', 'ws')}${path}`, { headers });
    opened.push(this.socket);
    this.socket.on('message', (data) => this.texts.push((data as Buffer).toString()));
    this.socket.on('error', () => {});
    this.socket.on('close', (code) => (this.closed = code));
  }

  static async open(path: string, headers: Record<string, string> = {}): Promise<Client> {
    const client = new Client(path, headers);
    await once(client.socket, 'open');
    return client;
  }

  create(input: unknown, more: object = {}): void {
    this.socket.send(JSON.stringify({ type: 'response.create', model: 'demo', input, ...more }));
  }

  /** The events of the next answer, up to its last. */
  async answer(): Promise<Event[]> {
    const events: Event[] = [];
    await until(() => {
      while (this.texts.length > 0) {
        const event = JSON.parse(this.texts.shift() as string) as Event;
        events.push(event);
        if (/^(response\.(completed|incomplete|failed)|error)$/.test(event.type)) return true;
      }
      return false;
    }, 'the last event');
    return events;
  }
}

const said = (events: readonly Event[]) =>
  events
    .filter(({ type }) => type === 'response.output_text.delta')
    .map(({ delta }) => delta)
    .join('');
const idOf = (events: readonly Event[]) =>
  (events.at(-1)?.['response'] as { id?: string } | undefined)?.id ?? 'none';

describe('the Responses API over a WebSocket', () => {
  test('answers one after the other, a text for each event, and knows that it is simulated', async () => {
    const client = await Client.open('/v1/responses');
    client.create('@echo one');
    client.create('@echo two');
    const first = await client.answer();
    assert.deepEqual(
      first.slice(0, 2).map(({ type }) => type),
      ['response.created', 'response.in_progress'],
    );
    assert.equal(said(first), 'one');
    assert.equal(said(await client.answer()), 'two');
    assert.equal(server.journal.last?.ending, 'finished');
    assert.equal(server.streams, 0);
    client.socket.close();
    await until(() => client.closed !== undefined, 'the close');
  });

  test('a response can be continued on its socket: the last one, those that are stored, and no other', async () => {
    const client = await Client.open('/v1/responses');
    client.create('@echo the first', { store: false });
    const first = idOf(await client.answer());
    client.create('@echo the second', { store: false, previous_response_id: first });
    const second = idOf(await client.answer());
    const roles = server.journal.last?.request?.messages.map(({ role }) => role);
    assert.deepEqual(roles, ['user', 'assistant', 'user']);
    client.create('@echo no', { previous_response_id: first });
    const [error] = await client.answer();
    assert.equal(error.type, 'error');
    assert.equal(error['status'], 400);
    assert.equal((error['error'] as { code: string }).code, 'previous_response_not_found');
    client.create('@echo third', { previous_response_id: second });
    assert.equal(said(await client.answer()), 'third');
    const other = await Client.open('/v1/responses');
    other.create('@echo no', { previous_response_id: second });
    assert.equal((await other.answer())[0].type, 'error', 'another socket knows nothing');
  });

  test('a warm-up gives an id to continue from; a failed continuation takes it away', async () => {
    const client = await Client.open('/v1/responses');
    client.create('be short', { generate: false, store: false });
    const warm = await client.answer();
    assert.equal(said(warm), '');
    client.create('@fault status=500', { store: false, previous_response_id: idOf(warm) });
    assert.equal((await client.answer())[0]['status'], 500);
    client.create('@echo again', { previous_response_id: idOf(warm) });
    assert.equal((await client.answer())[0]['status'], 400);
  });

  test('what is no request gets an error event, and the socket stays', async () => {
    const client = await Client.open('/v1/responses');
    for (const text of ['no json', '[]', '{"type":"response.steer"}', '{}'])
      client.socket.send(text);
    client.create(7);
    client.create('@echo fine', { model: 'other' });
    for (let n = 0; n < 6; n++) assert.equal((await client.answer())[0].type, 'error', `${n}`);
    client.create('@echo fine');
    assert.equal(said(await client.answer()), 'fine');
  });

  const breaks: readonly (readonly [string, number, string])[] = [
    ['reset-after=2', 1006, 'fault'],
    ['cut-after=2', 1006, 'fault'],
    ['end-after=2', 1000, 'fault'],
    ['end-after=2 close-code=1012', 1012, 'fault'],
    ['reset-before-headers', 1006, 'fault'],
    ['end-before-headers', 1006, 'fault'],
    ['empty', 1000, 'fault'],
  ];
  for (const [fault, code, ending] of breaks)
    test(`${fault} ends the socket with ${code}`, async () => {
      const client = await Client.open('/v1/responses');
      client.create(`@echo a b c d\n@fault ${fault}`);
      await until(() => client.closed !== undefined, 'the end');
      assert.equal(client.closed, code);
      assert.equal(server.journal.last?.ending, ending);
      const deltas = client.texts.filter((text) => text.includes('output_text.delta')).length;
      assert.equal(deltas, fault.includes('after') ? 2 : 0);
    });

  test('a status is an error event with its headers; an error in the answer is its last event; broken and slow ones are texts too', async () => {
    const client = await Client.open('/v1/responses');
    client.create('@fault status=429 retry-after=3');
    const [limited] = await client.answer();
    assert.equal(limited['status'], 429);
    assert.deepEqual((limited['error'] as { headers: object }).headers, { 'retry-after': '3' });
    client.create('@echo a b\n@fault error-after=1');
    const failed = await client.answer();
    assert.equal(failed.at(-1)?.type, 'error');
    assert.equal(failed.filter(({ type }) => type.endsWith('text.delta')).length, 1);
    client.create('@echo a b\n@fault malformed-after=1');
    await until(() => client.texts.some((text) => text === '{"simulated":"broken'), 'broken JSON');
    await until(() => client.texts.some((text) => text.includes('completed')), 'and the end');
    client.texts.length = 0;
    client.create('@echo größe 🌊\n@fault split=1,2,3');
    assert.equal(said(await client.answer()), 'größe 🌊');
    client.create('@echo a b\n@fault stall-after=1');
    await until(() => client.texts.some((text) => text.includes('text.delta')), 'one delta');
    assert.equal(server.streams, 1);
    client.socket.terminate();
    await until(() => server.journal.last?.ending === 'client-closed', 'the row to be closed');
    assert.equal(server.streams, 0);
  });
});

describe('an upgrade', () => {
  test('is refused, reset or never answered as the faults say, and elsewhere with 404', async () => {
    const refused = async (path: string, fault?: string) => {
      const headers: Record<string, string> = fault === undefined ? {} : { 'x-simulate': fault };
      const client = new Client(path, headers);
      const [, response] = (await once(client.socket, 'unexpected-response')) as [
        unknown,
        { statusCode: number },
      ];
      return response.statusCode;
    };
    assert.equal(await refused('/v1/responses', 'upgrade-status=401'), 401);
    assert.equal(await refused('/ws', 'upgrade-status=503'), 503);
    assert.equal(await refused('/ws', 'no such fault'), 400);
    assert.equal(await refused('/v1/chat/completions'), 404);
    const reset = new Client('/ws', { 'x-simulate': 'upgrade-reset' });
    await until(() => reset.closed === 1006, 'the reset');
    const silent = new Client('/ws', { 'x-simulate': 'upgrade-stall' });
    await until(() => server.connections > 0, 'a connection');
    assert.equal(silent.socket.readyState, WebSocket.CONNECTING);
    silent.socket.terminate();
  });
});

describe('a plain back end', () => {
  test('says back what it hears, text and binary, until its faults end it', async () => {
    const client = await Client.open('/ws', { 'x-simulate': 'end-after=2 close-code=4001' });
    const kinds: boolean[] = [];
    client.socket.on('message', (_, binary) => kinds.push(binary));
    client.socket.send('größe');
    client.socket.send(Buffer.from([1, 2]), { binary: true });
    await until(() => client.closed !== undefined, 'the close');
    assert.deepEqual(
      [client.texts, kinds, client.closed],
      [['größe', '\x01\x02'], [false, true], 4001],
    );
    const row = server.journal.last;
    assert.deepEqual([row?.status, row?.ending, row?.tokensSent], [101, 'fault', 2]);
  });

  test('goes silent, resets or closes without a word', async () => {
    const silent = await Client.open('/ws', { 'x-simulate': 'stall-after=1' });
    for (const text of ['a', 'b', 'c']) silent.socket.send(text);
    await until(() => silent.texts.length === 1, 'the first');
    for (const fault of ['reset-after=1', 'cut-after=1']) {
      const client = await Client.open('/ws', { 'x-simulate': fault });
      client.socket.send('a');
      await until(() => client.closed !== undefined, fault);
      assert.equal(client.closed, 1006);
    }
    assert.deepEqual(silent.texts, ['a']);
  });
});
