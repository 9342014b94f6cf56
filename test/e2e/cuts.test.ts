/**
 * Goal: what the matrix shows of the pure pipeline holds through the whole engine. Method: upstreams of every provider that play recorded streams over real sockets and
 * are cut off at sampled bytes in every way, or fall silent in every phase; each ends complete or in one failure that names the cause, within its clock.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { resetSocket } from '../../src/simulate/reset-socket.ts';
import { responseEvents, type Understood } from '../support/answers.ts';
import { open, type TestClient } from '../support/client.ts';
import {
  cutStreams,
  judgeCut,
  marksOf,
  type ProviderName,
  recordingOf,
} from '../support/cut-oracle.ts';
import { below } from '../support/played-upstream.ts';
import { answer, assertWhole } from '../support/responses.ts';
import { seeded } from '../support/seed.ts';
import { cuts, UpstreamWire } from '../support/upstream-wire.ts';

const CUTS = process.env['SLOW'] ? 2_000 : 204;
const clocks = {
  connectTimeoutMs: 400,
  headersTimeoutMs: 400,
  firstDeltaTimeoutMs: 600,
  gapTimeoutMs: 300,
  finishGraceMs: 200,
};
/** What a busy machine may add. */
const LATE_MS = 1_500;

/** What the next request of an upstream is answered with. */
interface Part {
  readonly wire: UpstreamWire;
  readonly at: number;
  /** Nothing more comes, and the connection stays. */
  readonly silent: boolean;
}

const names = Object.keys(cutStreams) as ProviderName[];
const playing = new Map<ProviderName, Part>();
const sockets = new Set<net.Socket>();

async function startPlayer(provider: ProviderName): Promise<net.Server> {
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    let heard = '';
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
      const head = heard.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/.exec(heard)?.[1] ?? 0);
      if (head < 0 || heard.length < head + 4 + length) return;
      heard = '';
      play(socket, playing.get(provider) as Part);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function play(socket: net.Socket, { wire, at, silent }: Part): void {
  const bytes = wire.upTo(at);
  socket.write(bytes, () => {
    if (silent || wire.cut === 'chunked end') return;
    if (wire.cut !== 'reset') socket.end();
    // Let the bytes arrive before the reset overtakes them.
    else setImmediate(() => resetSocket(socket));
  });
}

describe('recorded streams over real sockets', () => {
  let engine: Engine;
  let servers: net.Server[];
  const clients = new Map<ProviderName, TestClient>();

  before(async () => {
    servers = await Promise.all(names.map(startPlayer));
    const upstreams = names.map((provider, at) => {
      const origin = `http://127.0.0.1:${(servers[at].address() as net.AddressInfo).port}`;
      const url = provider === 'ollama' ? origin : `${origin}/v1`;
      return { name: provider, provider, url, models: [provider] };
    });
    engine = createEngine({
      server: { port: 0 },
      admin: { enabled: false },
      log: { level: 'silent' },
      upstreams,
      balance: { enableCircuitBreaker: false },
      stream: { ...clocks, maxRetries: 0 },
    });
    const { url } = await engine.listen();
    for (const provider of names) clients.set(provider, await open(`${url}/v1/responses`));
  });

  after(async () => {
    for (const client of clients.values()) await client.close();
    await engine.close();
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });

  async function said(
    provider: ProviderName,
    part: Part,
  ): Promise<Understood & { tookMs: number }> {
    playing.set(provider, part);
    const client = clients.get(provider) as TestClient;
    const fromMs = performance.now();
    client.send({ type: 'response.create', response: { model: provider, input: 'go' } });
    const events = await answer(client);
    assertWhole(events);
    return { ...responseEvents(events), tookMs: performance.now() - fromMs };
  }

  for (const provider of names) {
    test(`${provider}: ${CUTS / names.length} sampled cuts are complete or fail once, and say what had come`, async (t) => {
      const chance = seeded(`cuts ${provider}`);
      const played = cutStreams[provider].map((name) => {
        const recording = recordingOf(name);
        return { ...recording, marks: marksOf(provider, recording.body) };
      });
      const ends = { complete: 0, failed: 0 };
      for (let n = 0; n < CUTS / names.length; n++) {
        const { name, marks, reads, header } = played[n % played.length];
        const wire = new UpstreamWire(cuts[n % cuts.length], reads, header('content-type') ?? '');
        // Some of them in the last bytes, where the finish reason is.
        const near = n % 4 === 0 ? Math.max(0, wire.length - 400) : 0;
        const at = n % 7 === 0 ? wire.length : near + below(chance, wire.length - near);
        const { tookMs, ...understood } = await said(provider, { wire, at, silent: false });
        const about = `${name}, ${wire.cut} after ${at} bytes`;
        assert.ok(tookMs < clocks.gapTimeoutMs + LATE_MS, `${about}: ${tookMs} ms`);
        try {
          // A reset may take bytes with it that nobody has read.
          judgeCut(understood, marks, wire.bodyBefore(at), wire.codeAt(at), {
            mayLose: wire.cut === 'reset',
          });
        } catch (thrown) {
          throw new Error(about, { cause: thrown });
        }
        if (understood.end) ends[understood.end]++;
      }
      t.diagnostic(JSON.stringify(ends));
      assert.ok(ends.complete > 0 && ends.failed > 0);
    });

    const { body, reads, header } = recordingOf(cutStreams[provider][0]);
    const wire = new UpstreamWire('eof', reads, header('content-type') ?? '');
    const headBytes = wire.length - body.length;
    const marks = marksOf(provider, body);
    const finishAt = marks.find(({ reason }) => reason !== undefined)?.at ?? 0;
    const middle = marks[marks.length >> 1].at;
    const stalls: readonly (readonly [phase: string, at: number, ms: number, end: string])[] = [
      ['before the headers', 0, clocks.headersTimeoutMs, 'upstream_connect_timeout'],
      ['in the headers', headBytes - 9, clocks.headersTimeoutMs, 'upstream_connect_timeout'],
      ['before the first delta', headBytes, clocks.firstDeltaTimeoutMs, 'upstream_first_timeout'],
      ['in the middle', headBytes + middle, clocks.gapTimeoutMs, 'upstream_gap_timeout'],
      [
        'in the middle of an event',
        headBytes + middle + 20,
        clocks.gapTimeoutMs,
        'upstream_gap_timeout',
      ],
      ['before the end marker', headBytes + finishAt, 0, 'complete'],
    ];
    for (const [phase, at, ms, end] of stalls) {
      test(`${provider}: silence ${phase} ends by its clock`, async () => {
        const { tookMs, ...understood } = await said(provider, { wire, at, silent: true });
        assert.equal(understood.code ?? understood.end, end);
        assert.ok(
          tookMs >= ms - 20 && tookMs < ms + clocks.finishGraceMs + LATE_MS,
          `${tookMs} ms`,
        );
        const code = `MILLRACE_${end.toUpperCase()}`;
        judgeCut(understood, marks, wire.bodyBefore(at), code, {});
      });
    }
  }
});
