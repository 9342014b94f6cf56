/**
 * A worker dies with everything it was doing: how soon main knows, and how soon another client of that worker has an answer. Its session
 * stays open meanwhile; the question waits in the engine for the replacement. Times from the worker's last line.
 */
import { on, once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { must } from '../../src/must.ts';
import type { Bench, Outcome, Settings } from '../support/bench.ts';
import { type Server, startServer } from '../support/children.ts';
import { millrace } from '../support/millrace.ts';
import { DIE } from '../support/peers/crash-route.ts';

const DEATHS = 4;
const DEATHS_QUICK = 1;
/** The next spare thread is there by then. */
const CALM_MS = 800;

/** One session, and what it is told, in order. */
class Client {
  readonly #socket: WebSocket;
  readonly #said: AsyncIterator<[Buffer]>;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.#said = on(socket, 'message') as AsyncIterator<[Buffer]>;
  }

  static async open(port: number): Promise<Client> {
    const url = `ws://127.0.0.1:${port}/crash`;
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const client = new Client(socket);
    await once(socket, 'open');
    return client;
  }

  ask(text: string): Promise<string> {
    this.#socket.send(text);
    return this.next();
  }

  async next(): Promise<string> {
    const { value } = await this.#said.next();
    return (value as [Buffer])[0].toString();
  }

  close(): void {
    this.#socket.terminate();
  }
}

interface Death {
  readonly noticedMs: number;
  readonly answeredMs: number;
}

async function dies({ port, child }: Server, bystander: Client): Promise<Death> {
  const killer = await Client.open(port);
  must((await killer.ask(DIE)) === 'dying', 'the route answers');
  const diedNs = BigInt(await killer.next());
  must((await bystander.ask('anybody?')) === 'anybody?', 'the route answers with the question');
  const answeredNs = process.hrtime.bigint();
  const { lostNs } = await child.answer<{ lostNs: string }>();
  killer.close();
  const since = (ns: bigint): number => Number(ns - diedNs) / 1e6;
  return { noticedMs: since(BigInt(lostNs)), answeredMs: since(answeredNs) };
}

async function run(settings: Settings): Promise<Outcome> {
  const deaths: Death[] = [];
  const options = { ...millrace('uws'), threads: { workers: 1 } };
  const server = await startServer('millrace', 'crash', options, false);
  try {
    const bystander = await Client.open(server.port);
    const count = settings.rounds * (settings.quick ? DEATHS_QUICK : DEATHS);
    for (let death = 1; death <= count; death++) {
      await pause(CALM_MS);
      const { noticedMs, answeredMs } = await dies(server, bystander);
      deaths.push({ noticedMs, answeredMs });
      const times = `noticed after ${noticedMs.toFixed(1)} ms, answered after ${answeredMs.toFixed(1)} ms`;
      settings.progress(`death ${death}: ${times}`);
    }
    bystander.close();
  } finally {
    await server.child.end();
  }
  const noticed = deaths.map(({ noticedMs }) => noticedMs);
  const answered = deaths.map(({ answeredMs }) => answeredMs);
  const common = { sense: 'at most', unit: 'ms' } as const;
  return {
    readings: [],
    goals: [
      { what: 'crash of a worker: until main knows', ...common, limit: 50, values: noticed },
      { what: 'until another client is answered', ...common, limit: 500, values: answered },
    ],
    notes: [
      'one worker, which every session is on; its thread ends without a word, the next one takes over a spare thread',
      'wall clock: both rows need an idle core',
    ],
  };
}

export const crash: Bench = { name: 'crash', title: 'A worker dies', run };
