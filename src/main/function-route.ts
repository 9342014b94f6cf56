/**
 * A route given as a function: the same generator as in a module, here on main. What it asks of upstreams comes back from the workers as
 * JSON, what it yields is encoded here: for handlers that need the application's own objects, and slower for it.
 */
import { randomUUID } from 'node:crypto';
import { asMillraceError, MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Ticker } from '../policy/ports.ts';
import { errorFrame } from '../protocol/dialects/route.ts';
import { PulledStream } from '../protocol/pulled-stream.ts';
import type { RouteHandler, RouteRequest, RouteSession, StreamRequest } from '../protocol/route.ts';
import { failureOf, frameOf, framesOf, type RouteFrames } from '../protocol/route-frames.ts';
import { type Engine, PartConnection } from './part-connection.ts';
import type { Socket, SocketHandlers, SocketMessage } from './socket.ts';

/** Frames in a row before the loop gets its turn. */
const FRAMES_IN_A_ROW_MAX = 64;
/** A generator that was told to return has this long before nobody waits for it any more. */
const RETURN_MS_MAX = 5_000;

export interface FunctionRouteWorld {
  readonly options: Options;
  readonly ticker: Ticker;
  /** main's own handlers: a stream is a client to them. */
  engine(): Engine;
  failed(error: MillraceError): void;
  abandoned(): void;
  fault(error: unknown, where: string): void;
}

/** What is kept of one session. */
export interface RouteLine {
  readonly session: RouteSession;
  readonly queue: SocketMessage[];
  running: FunctionRun | undefined;
}

export function functionRoute(
  handler: RouteHandler,
  world: FunctionRouteWorld,
): SocketHandlers<RouteLine> {
  const next = (socket: Socket<RouteLine>) => {
    const line = socket.data;
    const message = socket.open ? line.queue.shift() : undefined;
    if (message === undefined) return;
    line.running = new FunctionRun(world, socket, requestOf(message));
    void line.running.run(handler).finally(() => {
      line.running = undefined;
      next(socket);
    });
  };
  return {
    data: ({ path, principal, address }) => ({
      session: { path, principal, address, state: new Map() },
      queue: [],
      running: undefined,
    }),
    // No promise: the end of the session is to be told while a message is handled.
    message(socket, message) {
      const { queue, running } = socket.data;
      const max = world.options.session.queuedRequestsMax;
      if (running && queue.length >= max) {
        const full = new MillraceError('MILLRACE_QUEUE_FULL', { max });
        world.failed(full);
        void socket.send(Buffer.from(errorFrame(full)).toString());
        return;
      }
      queue.push(message);
      if (!running) next(socket);
    },
    refused(socket, error) {
      void socket.send(Buffer.from(errorFrame(error)).toString());
    },
    close: (socket) => socket.data.running?.leave(new MillraceError('MILLRACE_CANCELLED', {})),
  };
}

function requestOf(message: SocketMessage): RouteRequest {
  const binary = typeof message !== 'string';
  return {
    id: `route_${randomUUID()}`,
    binary,
    get bytes() {
      return binary ? message : Buffer.from(message);
    },
    get text() {
      return binary ? Buffer.from(message).toString() : message;
    },
    get json(): unknown {
      try {
        return binary ? undefined : (JSON.parse(message) as unknown);
      } catch {
        return undefined;
      }
    },
  };
}

/** One message in the hands of the function. */
class FunctionRun {
  readonly #world: FunctionRouteWorld;
  readonly #socket: Socket<RouteLine>;
  readonly #request: RouteRequest;
  readonly #leaving = new AbortController();
  readonly #asked = new Set<PulledStream>();
  #frames: RouteFrames | undefined;
  #over = false;

  constructor(world: FunctionRouteWorld, socket: Socket<RouteLine>, request: RouteRequest) {
    this.#world = world;
    this.#socket = socket;
    this.#request = request;
  }

  async run(handler: RouteHandler): Promise<void> {
    try {
      await this.#pull(handler);
    } catch (thrown) {
      if (this.#over) return;
      await this.#fail(thrown);
      this.leave(asMillraceError(thrown));
    } finally {
      this.#end();
    }
  }

  /** The client is gone, or the engine stops. */
  leave(reason: MillraceError): void {
    if (this.#over) return;
    this.#end();
    this.#leaving.abort(reason);
    const cancel = this.#world.ticker.after(RETURN_MS_MAX, () => this.#world.abandoned());
    void this.#returned().finally(cancel);
  }

  async #pull(handler: RouteHandler): Promise<void> {
    const { session } = this.#socket.data;
    const { signal } = this.#leaving;
    const { outputBytesMax } = this.#world.options.stream;
    const upstream = {
      stream: (asked: StreamRequest, how?: { signal?: AbortSignal }) => this.#ask(asked, how),
    };
    const frames = framesOf(handler(this.#request, { upstream, signal, session }));
    this.#frames = frames;
    for (let frame = 1; ; frame++) {
      if (frame % FRAMES_IN_A_ROW_MAX === 0) await this.#turn();
      const { done, value } = await frames.next();
      if (done || this.#over) return;
      const { bytes } = frameOf(value, outputBytesMax);
      const text = typeof value === 'string' ? value : Buffer.from(bytes).toString();
      await this.#socket.send(value instanceof Uint8Array ? value : text);
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#world.ticker.soon(resolve));
  }

  #ask(asked: StreamRequest, { signal }: { signal?: AbortSignal } = {}): PulledStream {
    const { runningRequestsMax } = this.#world.options.session;
    if (this.#over) throw new MillraceError('MILLRACE_CANCELLED', {});
    signal?.throwIfAborted();
    if (this.#asked.size >= runningRequestsMax) {
      throw new MillraceError('MILLRACE_OVERLOADED', {
        bound: 'session.runningRequestsMax',
        waitMs: 1_000,
      });
    }
    const { principal, address, models } = this.#socket;
    const rights = models && { rights: { models } };
    const admission = { dialect: 'parts', principal, address, once: true, ...rights };
    const { options, ticker } = this.#world;
    const every = (tick: () => void) => ticker.every(options.session.slowClientTimeoutMs / 4, tick);
    const over = () => {
      stream.over();
      this.#asked.delete(stream);
    };
    const connection = new PartConnection(this.#world.engine(), admission, every, over);
    const stream = new PulledStream(connection.pipe, signal, () => {
      over();
      connection.leave();
    });
    this.#asked.add(stream);
    connection.ask(asked);
    return stream;
  }

  async #fail(thrown: unknown): Promise<void> {
    const { error, frame, fault } = failureOf(thrown);
    this.#world.failed(error);
    if (fault) this.#world.fault(thrown, `route ${this.#socket.path}`);
    await this.#socket.send(Buffer.from(frame).toString());
  }

  #end(): void {
    this.#over = true;
    const gone = new MillraceError('MILLRACE_CANCELLED', {});
    for (const stream of this.#asked) stream.end(gone);
  }

  async #returned(): Promise<void> {
    try {
      await this.#frames?.return?.();
    } catch {
      // What it throws on its way out, nobody waits for.
    }
  }
}
