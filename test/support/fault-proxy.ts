/**
 * A TCP proxy that spoils connections, after the vocabulary of Toxiproxy: delay, throttle, reset, half-close, blackhole, corrupt. What each new connection gets
 * is asked for; the target may change (a server that was killed comes back somewhere else).
 */
import { once } from 'node:events';
import net from 'node:net';
import { resetSocket } from '../../src/simulate/reset-socket.ts';

export interface Toxic {
  /** Before each piece of the answer. */
  readonly delayMs?: number;
  /** The answer, at most so fast. */
  readonly bytesPerSecond?: number;
  /** After so many bytes of the answer: a reset, a FIN, silence for ever, one wrong byte. */
  readonly resetAfter?: number;
  readonly closeAfter?: number;
  readonly silentAfter?: number;
  readonly corruptAt?: number;
  /** Accepted, and nothing is passed on in either direction. */
  readonly blackhole?: boolean;
}

export class FaultProxy {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #target: number;
  /** Asked once for every connection. */
  choose: () => Toxic = () => ({});
  accepted = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#server = net.createServer((client) => this.#accept(client));
  }

  static async start(target: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Connections from clients that are open. */
  open = 0;

  /** New connections go there. */
  retarget(port: number): void {
    this.#target = port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: net.Socket): void {
    this.accepted++;
    this.open++;
    this.#keep(client);
    client.once('close', () => this.open--);
    const toxic = this.choose();
    if (toxic.blackhole) return void client.resume();
    const server = this.#keep(net.connect(this.#target, '127.0.0.1'));
    client.on('data', (bytes) => server.write(bytes));
    client.on('end', () => server.end());
    client.once('close', () => server.destroy());
    const answer = new Answer(client, toxic);
    server.on('data', (bytes) => {
      server.pause();
      void answer.pass(bytes).then(() => server.resume());
    });
    server.on('end', () => answer.end());
    // The target is gone: so is the connection.
    server.on('error', () => resetSocket(client));
    server.once('close', () => answer.end());
  }

  #keep(socket: net.Socket): net.Socket {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
    return socket;
  }
}

/** One direction of one connection. */
class Answer {
  readonly #client: net.Socket;
  readonly #toxic: Toxic;
  #passed = 0;
  #silent = false;

  constructor(client: net.Socket, toxic: Toxic) {
    this.#client = client;
    this.#toxic = toxic;
  }

  async pass(bytes: Buffer): Promise<void> {
    const {
      delayMs = 0,
      bytesPerSecond,
      resetAfter,
      closeAfter,
      silentAfter,
      corruptAt,
    } = this.#toxic;
    const waitMs =
      delayMs + (bytesPerSecond === undefined ? 0 : (1_000 * bytes.length) / bytesPerSecond);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (this.#silent || this.#client.destroyed) return;
    const limit = Math.min(resetAfter ?? Infinity, closeAfter ?? Infinity, silentAfter ?? Infinity);
    const room = limit - this.#passed;
    const piece = Buffer.from(bytes.subarray(0, Math.min(bytes.length, room)));
    if (
      corruptAt !== undefined &&
      corruptAt >= this.#passed &&
      corruptAt < this.#passed + piece.length
    ) {
      piece[corruptAt - this.#passed] ^= 0xff;
    }
    this.#passed += piece.length;
    this.#client.write(piece);
    if (bytes.length < room) return;
    this.#silent = true;
    // Let what was written go out first.
    if (resetAfter === limit) setImmediate(() => resetSocket(this.#client));
    else if (closeAfter === limit) this.#client.end();
  }

  end(): void {
    if (!this.#silent) this.#client.end();
  }
}
