/** Goal: what a handler may rely on: order, copies, bounds, one end. Method: a session over a connection in memory whose back-pressure the test holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import type { Counts } from '../../../src/main/counts.ts';
import { Session } from '../../../src/main/session.ts';
import { OwnSocket, type SocketHandlers, type SocketHost } from '../../../src/main/socket.ts';
import { FakeConnection } from '../../support/fake-connection.ts';
import { until } from '../../support/until.ts';

const HIGH = 100;
const MAX = 1_000;

function rig<Data = undefined>(handlers: SocketHandlers<Data> = {}) {
  const connection = new FakeConnection();
  const admission = { dialect: 'socket', principal: 'p', address: 'a', path: '/mine' } as const;
  const session = new Session(0, 1, connection, admission, 0, 0);
  const told = { sent: 0, backpressure: 0, working: 0, faults: [] as string[] };
  const leave = (code: number, reason: string) => {
    if (!session.open) return;
    session.open = false;
    connection.close(code, reason);
    socket.gone(code, reason);
  };
  const host: SocketHost = {
    counts: {
      sent: (messages: number) => void (told.sent += messages),
      backpressure: () => void told.backpressure++,
    } as unknown as Counts,
    highBytes: HIGH,
    bytesMax: MAX,
    now: () => 5,
    working: (more) => void (told.working += more),
    fault: (error, where) => void told.faults.push(`${where}: ${(error as Error).message}`),
    end: (_, error) => leave(error.failure.close ?? 1013, error.code),
    close: (_, code, reason) => leave(code, reason),
  };
  const socket = new OwnSocket(session, handlers, host);
  const say = (text: string) => socket.received(Buffer.from(text), false);
  return { connection, session, socket, told, leave, say };
}

const turn = () => new Promise(setImmediate);

test('text comes as a string, binary as bytes of its own', () => {
  const got: unknown[] = [];
  const { socket } = rig({ message: (_, message) => void got.push(message) });
  const lent = Buffer.from('grüße');
  socket.received(lent, false);
  socket.received(lent, true);
  lent.fill(0);
  assert.deepEqual(got, ['grüße', new Uint8Array(Buffer.from('grüße'))]);
});

test('the next message waits for the promise of the one before; a synchronous handler waits for nobody', async () => {
  const steps: string[] = [];
  let release = () => {};
  const { say, told } = rig({
    message: (_, message) => {
      steps.push(`begin ${String(message)}`);
      if (message !== 'slow') return undefined;
      return new Promise<void>((resolve) => {
        release = () => (steps.push('end slow'), resolve());
      });
    },
  });
  for (const text of ['a', 'slow', 'b', 'c']) say(text);
  assert.deepEqual(steps, ['begin a', 'begin slow']);
  assert.equal(told.working, 1);
  release();
  await turn();
  assert.deepEqual(steps.slice(2), ['end slow', 'begin b', 'begin c']);
  assert.equal(told.working, 0);
});

test('messages wait until an asynchronous open is done', async () => {
  let release = () => {};
  const got: unknown[] = [];
  const { socket, say } = rig<string>({
    open: async (mine) => {
      await new Promise<void>((resolve) => (release = resolve));
      mine.data = 'ready';
    },
    message: (mine, message) => void got.push([mine.data, message]),
  });
  socket.opened();
  say('early');
  await turn();
  assert.deepEqual(got, []);
  release();
  await turn();
  assert.deepEqual(got, [['ready', 'early']]);
});

test('messages that wait are bounded: the last that fits, and the one too many', async () => {
  const never = new Promise(() => {});
  const { say, session, connection } = rig({ message: () => never });
  say('runs');
  const cost = 64;
  for (let waiting = 0; waiting + cost + 36 <= MAX; waiting += cost + 36) say('x'.repeat(36));
  assert.equal(session.open, true);
  say('');
  assert.equal(session.open, false);
  assert.deepEqual(connection.closed, { code: 1013, reason: 'MILLRACE_OVERLOADED' });
});

test('one message of any size may wait', () => {
  const { say, session } = rig({ message: () => new Promise(() => {}) });
  say('runs');
  say('x'.repeat(10 * MAX));
  assert.equal(session.open, true);
});

test('messages that waited are handled in order', async () => {
  const got: unknown[] = [];
  let release: (() => void) | undefined;
  const { say } = rig({
    message(_, message) {
      got.push(message);
      if (got.length > 1) return undefined;
      return new Promise<void>((resolve) => (release = resolve));
    },
  });
  say('first');
  // Fifteen at a time fit.
  for (let n = 0; n < 15; n++) say(String(n));
  release?.();
  await turn();
  assert.deepEqual(got, ['first', ...Array.from({ length: 15 }, (_, n) => String(n))]);
});

test('send resolves at once while the client reads, and waits above the mark until it does', async () => {
  let drains = 0;
  const { socket, connection, session, told } = rig({ drain: () => void drains++ });
  assert.equal(await socket.send('a'), 'sent');
  connection.full = true;
  assert.equal(await socket.send('x'.repeat(HIGH)), 'sent');
  assert.equal(session.fullSinceMs, 5);
  const waits = [socket.send('y'), socket.send(Uint8Array.of(1))];
  const first = await Promise.race([Promise.all(waits), turn().then(() => 'waits')]);
  assert.equal(first, 'waits');
  assert.equal(socket.buffered, HIGH + 2);
  socket.drained();
  assert.equal(drains, 0);
  connection.empty();
  socket.drained();
  assert.deepEqual(await Promise.all(waits), ['sent', 'sent']);
  assert.deepEqual([drains, told.sent, told.backpressure], [1, 4, 1]);
  assert.deepEqual(
    connection.sent.map(({ binary }) => binary),
    [false, false, false, true],
  );
});

test('what may wait for a client is bounded: max fits, one more closes with 1013, and no send rejects', async () => {
  const { socket, connection, session } = rig();
  connection.full = true;
  assert.equal(await socket.send('x'.repeat(HIGH)), 'sent');
  const waits = socket.send('x'.repeat(MAX - HIGH));
  assert.equal(session.open, true);
  assert.equal(await socket.send('x'), 'closed');
  assert.deepEqual(connection.closed, { code: 1013, reason: 'MILLRACE_SOCKET_FULL' });
  assert.equal(await waits, 'closed');
});

test('a lone message of any size is sent', async () => {
  const { socket, session } = rig();
  assert.equal(await socket.send('x'.repeat(10 * MAX)), 'sent');
  assert.equal(session.open, true);
});

test('a stale handle does nothing and says so', async () => {
  const { socket, connection, leave } = rig();
  leave(1006, '');
  assert.equal(await socket.send('x'), 'closed');
  socket.close(1000);
  assert.deepEqual([socket.open, socket.buffered, connection.sent], [false, 0, []]);
});

for (const [how, message] of [
  ['throws', () => assert.fail('a secret')],
  ['rejects', () => Promise.reject(new Error('a secret'))],
] as const)
  test(`a handler that ${how} closes its session with 1011, once, and the rest is not handled`, async () => {
    const got: unknown[] = [];
    const closes: unknown[] = [];
    const { say, connection, told } = rig({
      message(_, text) {
        got.push(text);
        return message();
      },
      close: (_, code, reason) => void closes.push([code, reason]),
    });
    say('one');
    say('two');
    await turn();
    assert.deepEqual(got, ['one']);
    assert.deepEqual(connection.closed, { code: 1011, reason: 'internal error' });
    assert.deepEqual(told.faults, ['socket /mine message: a secret']);
    assert.deepEqual(closes, [[1011, 'internal error']]);
    assert.equal(told.working, 0);
  });

test('a close handler that fails is a fault and nothing more', async () => {
  const { leave, told } = rig({ close: () => Promise.reject(new Error('oops')) });
  leave(1000, '');
  await turn();
  assert.deepEqual(told.faults, ['socket /mine close: oops']);
});

test('close is told after the last message, never inside a call, once', async () => {
  const steps: string[] = [];
  let release = () => {};
  const { say, leave } = rig({
    message(mine, message) {
      steps.push(String(message));
      if (message === 'last') {
        mine.close(4000, 'bye');
        steps.push('closed here');
      }
      return message === 'slow' ? new Promise<void>((resolve) => (release = resolve)) : undefined;
    },
    close: (_, code, reason) => void steps.push(`close ${code} ${reason}`),
  });
  say('slow');
  say('last');
  leave(1001, 'away');
  await turn();
  assert.deepEqual(steps, ['slow']);
  release();
  await turn();
  assert.deepEqual(steps, ['slow', 'last', 'closed here', 'close 1001 away']);
});

test('a loop yields every message, ends with the session, and then close is told', async () => {
  const got: unknown[] = [];
  const { socket, say, leave, told } = rig({
    async open(mine) {
      for await (const message of mine) got.push(message);
      got.push('over');
    },
    close: (_, code) => void got.push(code),
  });
  socket.opened();
  say('a');
  say('b');
  await turn();
  say('c');
  leave(1000, '');
  await until(() => got.length === 5, 'the end');
  assert.deepEqual(got, ['a', 'b', 'c', 'over', 1000]);
  assert.equal(told.working, 0, 'a loop does not hold up a drain');
});

test('leaving a loop closes the socket with 1000', async () => {
  const { socket, say, connection } = rig({
    async open(mine) {
      for await (const message of mine) if (message === 'enough') break;
    },
  });
  socket.opened();
  say('more');
  say('enough');
  await until(() => connection.closed, 'the close');
  assert.deepEqual(connection.closed, { code: 1000, reason: '' });
});

test('data is made of the facts before open', () => {
  const seen: unknown[] = [];
  const { socket } = rig({
    data: ({ path, principal, address, protocol }) => ({ path, principal, address, protocol }),
    open: (mine) => void seen.push(mine.data),
  });
  socket.opened();
  assert.deepEqual(seen, [{ path: '/mine', principal: 'p', address: 'a', protocol: '' }]);
  assert.match(socket.id, /^[0-9a-f-]{36}$/);
});

test('a refused message is told to the application that asked to know', () => {
  const error = new MillraceError('MILLRACE_RATE_LIMITED', { waitMs: 5 });
  const got: unknown[] = [];
  const { socket } = rig({ refused: (_, each) => void got.push(each.code) });
  assert.equal(socket.refused(error), true);
  assert.deepEqual(got, ['MILLRACE_RATE_LIMITED']);
  assert.equal(rig().socket.refused(error), false);
});

test('only codes that an endpoint may send close; others are a typed error', () => {
  for (const code of [1000, 1001, 1003, 1007, 1014, 3000, 4999]) {
    const { socket, connection } = rig();
    socket.close(code, 'r');
    assert.equal(connection.closed?.code, code);
  }
  for (const code of [0, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, Number.NaN])
    assert.throws(() => rig().socket.close(code), { code: 'MILLRACE_FIELD_INVALID' }, String(code));
});

test('a message is a string or bytes; anything else is a typed error at once', () => {
  for (const message of [1, undefined, null, {}, new ArrayBuffer(1)])
    assert.throws(() => void rig().socket.send(message as string), {
      code: 'MILLRACE_FIELD_INVALID',
    });
});
