/**
 * Fan-out through millrace's own main thread: the wheel runs in a worker thread and writes frames into a down ring; main's real
 * sessions, requests, credit, counters, delivery and backend bring them to the sockets. Only the worker is synthetic.
 */
import { Worker } from 'node:worker_threads';
import type { Connection } from '../../../src/main/backend/backend.ts';
import { chooseBackend } from '../../../src/main/backend/choose.ts';
import { Counts } from '../../../src/main/counts.ts';
import { Deliver } from '../../../src/main/deliver.ts';
import { Requests } from '../../../src/main/requests.ts';
import { type Admission, type Session, Sessions } from '../../../src/main/session.ts';
import { allocateCounters, openCounters } from '../../../src/memory/counters.ts';
import { allocateLedger, openLedger } from '../../../src/memory/ledger.ts';
import { allocateRing, ringConsumer } from '../../../src/memory/ring.ts';
import { allocateSessionCells, openSessionCells } from '../../../src/memory/session-cells.ts';
import { createPump } from '../../../src/memory/signal.ts';
import { allocateSlab, openSlab } from '../../../src/memory/slab.ts';
import { dimensionsOf, schedule } from '../../../src/observe/metrics.ts';
import { schema } from '../../../src/options/schema.ts';
import { systemClock } from '../../../src/threads/world.ts';
import { ready, settings } from './serve.ts';
import { STREAMS_MAX } from './wheel.ts';

const { backend: want } = settings() as { backend: 'uws' | 'ws' };
const options = schema.parse({});
const indexes = schedule(dimensionsOf(options));
const counts = new Counts(
  openCounters(allocateCounters(1, indexes.size), 0, indexes.size),
  indexes,
);
const cells = allocateSessionCells(STREAMS_MAX);
const sessions = new Sessions(openSessionCells(cells), options.session.creditBytes, 1);
const requests = new Requests(
  openLedger(allocateLedger(), options.memory.memoryBytesMax),
  options.memory.retainedBytesMax,
);
const slab = openSlab(allocateSlab(2 ** 20));
const ring = allocateRing(options.memory.ringBytes);
const worker = new Worker(new URL('./fan-worker.js', import.meta.url), {
  workerData: { ring, cells },
});
const consumer = ringConsumer(ring);
const deliver = new Deliver(sessions, requests, slab, counts, {
  credited: () => {},
  close: () => {},
  over: () => {},
});
const pump = createPump({
  consumer,
  drain: () => deliver.batch(consumer, systemClock.now()),
  soon: (task) => void setImmediate(task),
  // As main has it (crew.ts).
  turnsMax: 0,
});
worker.on('message', () => pump.ring());

const admission: Admission = { dialect: 'responses', principal: 'anonymous', address: '127.0.0.1' };
const { backend } = await chooseBackend({ want });
const listening = await backend.listen(
  { host: '127.0.0.1', port: 0, messageBytesMax: 65_536, bodyBytesMax: 0, reusePort: false },
  {
    upgrade: () => ({ accept: true, user: undefined }),
    open(connection) {
      const nowMs = systemClock.now();
      const session = sessions.add(connection, admission, nowMs);
      connection.user = session;
      const request = requests.add(
        session,
        new Uint8Array(16),
        new Uint8Array(80),
        false,
        nowMs,
        0,
      );
      const { slot, generation } = session;
      worker.postMessage({ slot, generation, stream: request?.number ?? 0 });
    },
    message: () => {},
    drain(connection) {
      sessions.grant(sessionOf(connection));
    },
    alive: () => {},
    close(connection) {
      const session = sessionOf(connection);
      requests.settleAll(session);
      sessions.remove(session);
      worker.postMessage({ slot: session.slot, generation: 0, stream: 0 });
    },
    http: () => ({ status: 404, headers: {}, body: '' }),
    fault(error) {
      throw error;
    },
  },
);
ready(listening.port);

function sessionOf(connection: Connection): Session {
  return connection.user as Session;
}
