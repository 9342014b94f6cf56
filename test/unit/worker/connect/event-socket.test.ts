/** The Responses API over a WebSocket that a test plays: what HTTP gives for nothing has to hold here too: pausing, order, one end, and sockets that are kept or not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MillraceError } from '../../../../src/errors.ts';
import type { Exchange, ExchangeHandler } from '../../../../src/protocol/transport.ts';
import { EventSocketTransport } from '../../../../src/worker/connect/event-socket.ts';
import { FakeSockets } from '../../../support/fake-sockets.ts';

class Heard implements ExchangeHandler {
  readonly calls: string[] = [];
  sent(): void {
    this.calls.push('sent');
  }
  head(status: number): void {
    this.calls.push(`head ${status}`);
  }
  data(bytes: Uint8Array): void {
    this.calls.push(Buffer.from(bytes).toString().trim());
  }
  end(): void {
    this.calls.push('end');
  }
  fail({ code }: MillraceError): void {
    this.calls.push(code);
  }
}

const upstream = { name: 'one', origin: 'ws://one.test' };
const body = JSON.stringify({ model: 'm', stream: true });
const event = (n: number) => `{"type":"response.output_text.delta","delta":"${n}"}`;
const last = '{"type":"response.completed"}';

function rig(idleSocketsMax = 2) {
  const sockets = new FakeSockets();
  const on = new EventSocketTransport({ idleSocketsMax, idleMs: 60_000 }, sockets);
  const ask = async (authorization = 'Bearer a'): Promise<[Exchange, Heard]> => {
    const heard = new Heard();
    const request = { method: 'POST', path: '/v1/responses', body } as const;
    const exchange = on.open(upstream, { ...request, headers: { authorization } }, heard);
    assert.deepEqual(heard.calls, [], 'nothing is called from within open');
    await Promise.resolve();
    return [exchange, heard];
  };
  return { sockets, on, ask };
}

test('paused behind its first event, nothing more comes until it is resumed; then all in order, and its end once', async () => {
  for (const how of ['completed', 'lost'] as const) {
    const { sockets, ask, on } = rig();
    const [exchange, heard] = await ask();
    exchange.pause();
    sockets.last.open().say(event(1));
    assert.deepEqual(heard.calls, ['sent', 'head 200', `data: ${event(1)}`]);
    assert.equal(sockets.last.paused, true);
    sockets.last.say(event(2)).say(event(3));
    if (how === 'completed') sockets.last.say(last);
    else sockets.last.gone();
    assert.equal(heard.calls.length, 3);
    exchange.resume();
    const end = how === 'completed' ? [`data: ${last}`, 'end'] : ['MILLRACE_UPSTREAM_RESET'];
    const expected = [`data: ${event(2)}`, `data: ${event(3)}`, ...end];
    assert.deepEqual(heard.calls.slice(3), expected);
    exchange.resume();
    exchange.cancel();
    assert.equal(heard.calls.length, 3 + expected.length);
    await on.close();
    assert.equal(sockets.sockets, 0);
  }
});

test('cancelled in any phase the socket is closed at once, and nothing is said any more', async () => {
  const phases = [
    () => {},
    (r: FakeSockets) => void r.last.open(),
    (r: FakeSockets) => void r.last.open().say(event(1)),
  ];
  for (const phase of phases) {
    const { sockets, ask } = rig();
    const [exchange, heard] = await ask();
    phase(sockets);
    const before = heard.calls.length;
    exchange.cancel();
    assert.equal(sockets.last.ended, 'terminated');
    exchange.resume();
    assert.equal(heard.calls.length, before);
  }
  const { sockets, on } = rig();
  const heard = new Heard();
  const request = { method: 'POST', path: '/', headers: {}, body } as const;
  on.open(upstream, request, heard).cancel();
  await Promise.resolve();
  assert.equal(sockets.all.length, 0, 'cancelled before it began');
});

test('a socket whose response ended in order serves the next one of its key alone; what speaks unasked, and what is too many, is closed', async () => {
  const { sockets, ask, on } = rig(1);
  await ask();
  await ask();
  await ask('Bearer b');
  assert.equal(sockets.all.length, 3);
  for (const socket of sockets.all) socket.open().say(last);
  assert.deepEqual(
    sockets.all.map(({ ended }) => ended),
    [undefined, 1000, undefined],
    'one for each key',
  );
  const [, heard] = await ask();
  assert.equal(sockets.all.length, 3);
  assert.equal(sockets.all[0].got.length, 2);
  sockets.all[0].say(event(1)).say(last);
  assert.deepEqual(heard.calls.at(-1), 'end');
  sockets.all[0].say(event(2));
  assert.equal(sockets.all[0].ended, 1000, 'nobody asked');
  await ask();
  assert.equal(sockets.all.length, 4);
  await on.close();
});

test('a response that failed by an error event leaves no socket behind; one lost while it was kept is replaced once', async () => {
  const { sockets, ask, on } = rig();
  const [, refused] = await ask();
  sockets.last.open().say('{"type":"error","status":429,"error":{}}');
  assert.deepEqual(refused.calls.slice(1, 2), ['head 429']);
  assert.equal(refused.calls.at(-1), 'end');
  assert.equal(sockets.last.ended, 1000);
  await ask();
  sockets.last.open().say(last);
  const [, again] = await ask();
  assert.equal(sockets.all.length, 2);
  sockets.last.gone();
  assert.equal(sockets.all.length, 3);
  sockets.last.open();
  assert.deepEqual(again.calls, ['sent'], 'unseen');
  sockets.last.gone();
  assert.deepEqual(again.calls, ['sent', 'MILLRACE_UPSTREAM_RESET']);
  assert.equal(sockets.all.length, 3, 'not again');
  await on.close();
});
