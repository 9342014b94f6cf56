/** What the contract suite cannot provoke: a core that drops, that says "queued" of nothing, that loses payloads. The module is a fake. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BackendHandlers, Connection } from '../../../../src/main/backend/backend.ts';
import { createUwsBackend } from '../../../../src/main/backend/uws.ts';
import type {
  UwsApp,
  UwsBehavior,
  UwsModule,
  UwsSocket,
} from '../../../../src/main/backend/uws-module.ts';
import { Bug } from '../../../../src/must.ts';
import { silent } from '../../../support/backend/serve.ts';

interface Sent {
  readonly bytes: number;
  readonly compress: boolean;
}

/** An app without a network: what it was configured with, and sockets whose answers the test writes. */
async function fake(options: { old: boolean; status?: number; queued?: number }) {
  let behavior: UwsBehavior | undefined;
  let flags = -1;
  const sent: Sent[] = [];
  const app: UwsApp = {
    ws(_pattern, given) {
      behavior = given;
      return app;
    },
    any: () => app,
    listen(_host, _port, given, done) {
      flags = given;
      done({});
      return app;
    },
    close() {},
    addServerName: () => app,
    domain: () => app,
    ...(options.old ? {} : { filter: () => app }),
  };
  const module: UwsModule = {
    App: () => app,
    SSLApp: () => app,
    us_listen_socket_close() {},
    us_socket_local_port: () => 4711,
    LIBUS_LISTEN_EXCLUSIVE_PORT: 1,
    DISABLED: 0,
    SHARED_COMPRESSOR: 1,
    SHARED_DECOMPRESSOR: 0,
    DEDICATED_COMPRESSOR_8KB: 2,
    DEDICATED_COMPRESSOR_16KB: 3,
    DEDICATED_COMPRESSOR_32KB: 4,
  };
  const told: { connections: Connection[]; codes: number[] } = { connections: [], codes: [] };
  const handlers: BackendHandlers = {
    upgrade: () => ({ accept: true, user: undefined }),
    open: (connection) => told.connections.push(connection),
    message() {},
    drain() {},
    alive() {},
    close: (_connection, code) => told.codes.push(code),
    http: () => ({ status: 200, headers: {}, body: '' }),
    fault(error) {
      throw error;
    },
  };
  const reusePort = options.queued === -1;
  await createUwsBackend(module, '0').listen({ ...silent, reusePort }, handlers);
  assert.ok(behavior);
  const data = { ticket: {} };
  const socket: UwsSocket = {
    send(message, _binary, compress) {
      sent.push({ bytes: message.length, compress });
      return options.status ?? 1;
    },
    getBufferedAmount: () => options.queued ?? 0,
    cork: (write) => write(),
    ping: () => 1,
    end() {},
    close() {},
    getUserData: () => data,
  };
  behavior.open(socket);
  return { behavior, flags, sent, socket, told, connection: told.connections[0] };
}

const bytes = (length: number) => new Uint8Array(length);

describe('uWebSockets.js', () => {
  it('is configured to drop, compress, ping and time out nothing by itself', async () => {
    const { behavior, flags } = await fake({ old: false });
    const { compression, maxBackpressure, closeOnBackpressureLimit } = behavior;
    const { idleTimeout, sendPingsAutomatically } = behavior;
    assert.deepEqual(
      {
        compression,
        maxBackpressure,
        closeOnBackpressureLimit,
        idleTimeout,
        sendPingsAutomatically,
      },
      {
        compression: 0,
        maxBackpressure: 0,
        closeOnBackpressureLimit: false,
        idleTimeout: 0,
        sendPingsAutomatically: false,
      },
    );
    assert.equal(flags, 1, 'the port is ours alone');
  });

  it('shares the port only on purpose', async () => {
    assert.equal((await fake({ old: false, queued: -1 })).flags, 0);
  });

  it('takes the way around the lost payload for frames of 16 KiB and more, on old cores only', async () => {
    const detours = async (old: boolean) => {
      const { connection, sent } = await fake({ old });
      for (const length of [1, 16_383, 16_384, 200_000]) connection.send(bytes(length), true);
      return sent.map(({ compress }) => compress);
    };
    assert.deepEqual(await detours(true), [false, false, true, true]);
    assert.deepEqual(await detours(false), [false, false, false, false]);
  });

  it('maps the core’s answers: 1 is sent, 0 buffered, 0 of an empty queue sent, 2 a bug', async () => {
    const status = async (answer: number, queued: number) =>
      (await fake({ old: false, status: answer, queued })).connection.send(bytes(1), true);
    assert.equal(await status(1, 0), 'sent');
    assert.equal(await status(0, 100), 'buffered');
    assert.equal(await status(0, 0), 'sent');
    await assert.rejects(status(2, 0), Bug);
  });

  it('tells the rule that a peer broke, where the core names it', async () => {
    for (const [reason, code] of [
      ['Received too big message', 1009],
      ['Received invalid UTF-8', 1007],
      ['Received invalid WebSocket frame', 1002],
      ['Received TCP FIN before WebSocket close frame', 1006],
    ] as const) {
      const { behavior, socket, told } = await fake({ old: false });
      behavior.close(socket, 1006, new TextEncoder().encode(reason).buffer);
      assert.deepEqual(told.codes, [code]);
    }
  });

  it('never touches a socket of the core after its close', async () => {
    const { behavior, socket, connection, sent } = await fake({ old: false });
    behavior.close(socket, 1006, new ArrayBuffer(0));
    const forbidden = () => assert.fail('touched');
    Object.assign(socket, { send: forbidden, getBufferedAmount: forbidden, cork: forbidden });
    Object.assign(socket, { ping: forbidden, end: forbidden, close: forbidden });
    assert.equal(connection.send(bytes(1), true), 'closed');
    assert.equal(connection.buffered(), 0);
    connection.cork(() => undefined);
    connection.ping();
    connection.close(1000, '');
    connection.terminate();
    assert.equal(sent.length, 0);
  });
});
