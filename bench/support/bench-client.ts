/** One Responses session of the driver: one turn at a time, with the times at which its events came. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { TimedUpstream } from './timed-upstream.ts';

interface Event {
  readonly type: string;
  readonly delta?: string;
  readonly response?: { readonly x_millrace?: { readonly attempts?: number } };
}

export interface Turn {
  readonly firstMs: number;
  /** From the upstream's write to our event, token by token. */
  readonly latencies: readonly number[];
  readonly attempts: number;
}

const terminal = /^response\.(completed|failed|incomplete)$|^error$/;

export class BenchClient {
  readonly #socket: WebSocket;
  cancelledMs = 0;
  #take: (event: Event, atMs: number) => void = () => {};
  #end: Promise<unknown> = Promise.resolve();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) =>
      this.#take(JSON.parse(data.toString()) as Event, performance.now()),
    );
  }

  static async open(port: number): Promise<BenchClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/responses`, {
      perMessageDeflate: false,
    });
    await once(socket, 'open');
    return new BenchClient(socket);
  }

  close(): void {
    this.#socket.close();
  }

  turn(model: string): Promise<Turn> {
    const latencies: number[] = [];
    const startMs = performance.now();
    let firstMs = -1;
    return new Promise((resolve, reject) => {
      this.#take = ({ type, delta, response }, atMs) => {
        if (type === 'response.output_text.delta') {
          if (firstMs < 0) firstMs = atMs - startMs;
          for (const said of (delta ?? '').trim().split(' ')) latencies.push(atMs - Number(said));
        }
        if (!terminal.test(type)) return;
        if (type !== 'response.completed') return reject(new Error(`a turn ended with ${type}`));
        resolve({ firstMs, latencies, attempts: response?.x_millrace?.attempts ?? 1 });
      };
      this.#ask(model);
    });
  }

  /** Cancels once the answer stands where it should. */
  async cancelWhen(model: string, upstream: TimedUpstream, phase: string): Promise<void> {
    const begun = upstream.nextBegun();
    let streaming: () => void = () => {};
    const first = new Promise<void>((resolve) => {
      streaming = resolve;
    });
    this.#end = new Promise((resolve) => {
      this.#take = ({ type }) => {
        if (type === 'response.output_text.delta') streaming();
        if (terminal.test(type)) resolve(type);
      };
    });
    this.#ask(model);
    await begun;
    if (phase === 'streaming') await first;
    // The head is on its way.
    else await new Promise((resolve) => setTimeout(resolve, 5));
    this.cancelledMs = performance.now();
    this.#socket.send(JSON.stringify({ type: 'response.cancel' }));
  }

  /** The cancelled turn has ended for us too. */
  async ended(): Promise<void> {
    await this.#end;
  }

  #ask(model: string): void {
    this.#socket.send(JSON.stringify({ type: 'response.create', model, input: 'hi' }));
  }

  /** The same turn without anything in between. */
  static async direct(url: string): Promise<Turn> {
    const startMs = performance.now();
    const reply = await fetch(`${url}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'paced' }),
    });
    const latencies: number[] = [];
    let firstMs = -1;
    for await (const bytes of reply.body ?? []) {
      const atMs = performance.now();
      if (firstMs < 0) firstMs = atMs - startMs;
      for (const [, said] of Buffer.from(bytes)
        .toString()
        .matchAll(/"content":"([\d.]+) "/g))
        latencies.push(atMs - Number(said));
    }
    return { firstMs, latencies, attempts: 1 };
  }
}
