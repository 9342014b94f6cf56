/**
 * The whole engine in one object: shared memory, the coordinator, the workers, the server, the admin port, started in the order in
 * which they need one another and stopped in the opposite one.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MillraceError } from '../errors.ts';
import type { Listening } from '../main/backend/backend.ts';
import type { Choice } from '../main/backend/choose.ts';
import type { AttachableServer } from '../main/backend/ws-attach.ts';
import { functionRoute, type RouteLine } from '../main/function-route.ts';
import type { Paths } from '../main/paths.ts';
import { servedPaths } from '../main/served-paths.ts';
import type { SocketHandlers } from '../main/socket.ts';
import type { Readiness, Status } from '../main/status.ts';
import { must } from '../must.ts';
import type { Log } from '../observe/log.ts';
import type { MetricsRegistry } from '../observe/prometheus.ts';
import type { Otel, OtelApi } from '../observe/spans.ts';
import { changesOf, refuseFixed } from '../options/changes.ts';
import { resolveOptions } from '../options/resolve.ts';
import type { Options, UserOptions } from '../options/schema.ts';
import type { RouteHandler } from '../protocol/route.ts';
import { systemTicker } from '../threads/world.ts';
import { addressOf } from './address.ts';
import { EngineMetrics } from './metrics.ts';
import type { Running, Served } from './run.ts';

export type { AttachableServer } from '../main/backend/ws-attach.ts';
export type {
  Socket,
  SocketFacts,
  SocketHandlers,
  SocketMessage,
  SocketSent,
} from '../main/socket.ts';
export type { Readiness, Status } from '../main/status.ts';
export type { Log } from '../observe/log.ts';
export type { MetricsRegistry } from '../observe/prometheus.ts';
export { SpanIds } from '../observe/span-ids.ts';
export type { Otel, OtelApi };

/** What an embedder may bring along. */
export interface EngineExtras {
  /** Takes every log line; default: pino to standard output at `log.level`. */
  readonly log?: Log;
  /** The application's own uWebSockets.js module. */
  readonly uws?: unknown;
  /** The application's tracing: finished streams become spans of its `@opentelemetry/api`. */
  readonly otel?: Otel;
}

/** Where the engine listens. */
export interface Address {
  /** ws://host:port */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly admin?: { readonly host: string; readonly port: number };
}

/** A gateway in this process. Made by `createEngine`; `await using` closes it. */
export interface Engine extends AsyncDisposable {
  /** The options in force, all defaults filled in. */
  readonly options: Options;
  /** The engine's counters, as Prometheus text or in a registry of the application. */
  readonly metrics: Metrics;
  /**
   * Serves a path with the application's own handlers: a plain WebSocket, text and binary, under the same limits, pings and counters as
   * every session. Before the start; several paths may be given.
   *
   * @throws MILLRACE_STARTED, MILLRACE_PATH_INVALID, MILLRACE_PATH_TAKEN (by an option or an earlier call).
   */
  socket<Data = undefined>(path: string, handlers: SocketHandlers<Data>): this;
  /**
   * Answers the messages of a path with the async generator that a module exports as its default: in every worker, beside the upstreams'
   * sockets. Before the start. The same as an entry of `routes` in the options.
   *
   * @throws MILLRACE_STARTED, MILLRACE_PATH_INVALID, MILLRACE_PATH_TAKEN, MILLRACE_OPTION_INVALID for a module that is neither a `file:`
   *   URL nor an absolute path. A module that cannot be used fails the start: MILLRACE_MODULE_UNUSABLE.
   */
  route(path: string, module: string | URL): this;
  /**
   * The same generator as a function: it runs on main, beside the application's own objects. Slower: what upstreams say crosses threads as
   * JSON, and what it yields is encoded on the thread that holds every socket (docs/PERFORMANCE.md has the figure).
   *
   * @throws MILLRACE_STARTED, MILLRACE_PATH_INVALID, MILLRACE_PATH_TAKEN.
   */
  route(path: string, handler: RouteHandler): this;
  /**
   * Starts threads and the admin port without listening for clients: for an application that brings its own server, and for tests.
   * `listen` does it by itself. Idempotent.
   *
   * @throws MILLRACE_START_FAILED, MILLRACE_PORT_TAKEN (the admin port); nothing stays running then. MILLRACE_CLOSED after `close`.
   */
  start(): Promise<void>;
  /**
   * Starts everything and listens at `server.host` and `server.port`. Once per engine.
   *
   * @throws MILLRACE_PORT_TAKEN, MILLRACE_LISTEN_FAILED, MILLRACE_BACKEND_UNAVAILABLE, MILLRACE_START_FAILED; nothing stays
   *   running then. MILLRACE_CLOSED when it listened before, or after `close`.
   */
  listen(): Promise<Address>;
  /**
   * Serves clients on a server of node:http or node:https that the application runs (over `ws`): WebSockets to our paths; other upgrades are left to
   * the application's listeners, or refused with 404 where it has none. Starts the threads where needed; may be called for several servers. A
   * public name of the server must stand in `server.allowedHosts`.
   *
   * @throws MILLRACE_START_FAILED, MILLRACE_PORT_TAKEN (the admin port), MILLRACE_CLOSED after `close`.
   */
  attach(server: AttachableServer): Promise<Attachment>;
  /** Whether new streams can be served; `reason` says in words why not. What the admin port answers at /readyz. */
  ready(): Readiness;
  /**
   * Sessions, requests, workers, upstreams, as the admin port answers at /status.json.
   *
   * @throws MILLRACE_CLOSED while the engine does not run.
   */
  status(): Status;
  /**
   * Puts other options into force while everything runs: the whole of them, as in `createEngine`. Streams that run keep theirs; docs/OPTIONS.md
   * says for each option when a change takes hold. Resolves, when every thread knows, with a sentence for each change; none for the
   * same options again.
   *
   * @throws MILLRACE_OPTION_INVALID with every problem, MILLRACE_OPTION_FIXED with every change that needs a restart,
   *   MILLRACE_UPSTREAM_ROWS_FULL, MILLRACE_CLOSED. Nothing has changed then.
   */
  update(options: UserOptions): Promise<readonly string[]>;
  /**
   * Ends everything; idempotent. `drain`: running streams may finish first, for at most `server.shutdownTimeoutMs`, and clients
   * are told to come back (1012). Without it they are closed at once.
   */
  close(options?: { readonly drain?: boolean }): Promise<void>;
}

/** The engine on a server of the application. */
export interface Attachment {
  /**
   * Answers a plain request if its path is ours (the model list, the HTTP endpoints): to be called first in the application's request listener, before
   * anybody reads the body. False: it is not ours, nothing was done.
   */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /** Leaves the server to the application; our sessions there are dropped. `engine.close` does it by itself, after their drain. */
  detach(): Promise<void>;
}

/** The engine's counters. Listed in docs/METRICS.md. */
export interface Metrics {
  /** The content type of `exportText`, for the answer to a scrape. */
  readonly contentType: string;
  /** Prometheus text of this moment. Before the start: names without values. */
  exportText(): Promise<string>;
  /**
   * Adds every metric to a prom-client `Registry` of the application; they are read when it is scraped. `close` takes them out
   * again, as does the function it returns. prom-client's global registry is never touched.
   *
   * @throws MILLRACE_METRICS_TAKEN when it holds a metric of one of our names.
   */
  register(registry: MetricsRegistry): () => void;
}

/**
 * An engine that does not run yet.
 *
 * @throws MILLRACE_OPTION_INVALID with every problem at once.
 */
export function createEngine(user: UserOptions = {}, extras: EngineExtras = {}): Engine {
  return new OwnEngine(resolveOptions({ code: user }).options, extras);
}

/** Serves clients of a further kind, in the threads of this engine: starts it where needed. */
export function serveOn<L extends Listening>(engine: Engine, backend: Served<L>): Promise<L> {
  return (engine as OwnEngine).serve(backend);
}

class OwnEngine implements Engine {
  readonly metrics: EngineMetrics;
  #options: Options;
  readonly #extras: EngineExtras;
  readonly #paths: Paths;
  /** Given by `engine.route`. */
  readonly #routes: Options['routes'][number][] = [];
  readonly #sockets = new Map<string, SocketHandlers<unknown>>();
  #running: Promise<Running> | undefined;
  /** The same, once it runs. */
  #now: Running | undefined;
  #listened = false;
  #closed: Promise<void> | undefined;
  #over = false;

  constructor(options: Options, extras: EngineExtras) {
    this.#options = options;
    this.#extras = extras;
    this.#paths = servedPaths(options);
    this.metrics = new EngineMetrics(() => this.#now?.parts);
  }

  get options(): Options {
    return this.#options;
  }

  socket<Data>(path: string, handlers: SocketHandlers<Data>): this {
    if (this.#running || this.#closed)
      throw new MillraceError('MILLRACE_STARTED', { what: 'engine.socket' });
    this.#paths.claim(path, 'socket');
    this.#sockets.set(path, handlers);
    return this;
  }

  route(path: string, code: string | URL | RouteHandler): this {
    if (this.#running || this.#closed)
      throw new MillraceError('MILLRACE_STARTED', { what: 'engine.route' });
    if (typeof code === 'function') return this.socket(path, this.#onMain(code));
    return this.#inWorkers(path, code);
  }

  #onMain(handler: RouteHandler): SocketHandlers<RouteLine> {
    const parts = () => {
      must(this.#now, 'clients come after the start');
      return this.#now.parts;
    };
    return functionRoute(handler, {
      options: this.options,
      ticker: systemTicker,
      engine: () => parts().server,
      failed: (error) => parts().counts.error(error.code),
      abandoned: () => parts().counts.routeAbandoned(),
      fault: (error, where) => parts().observer.fault(error, where),
    });
  }

  #inWorkers(path: string, module: string | URL): this {
    // Checked by the same rules as if it stood in the options.
    const [route] = resolveOptions({ code: { routes: [{ path, module }] } }).options.routes;
    this.#paths.claim(path, 'route');
    this.#routes.push(route);
    this.#options = this.#withRoutes(this.#options);
    return this;
  }

  async start(): Promise<void> {
    const running = await this.#run();
    running.begin();
  }

  async listen(): Promise<Address> {
    if (this.#listened || this.#closed) throw new MillraceError('MILLRACE_CLOSED', {});
    this.#listened = true;
    try {
      // The threads come up while main loads its server.
      const [running, { backend, why }] = await Promise.all([this.#run(), this.#choose()]);
      const { admin } = running;
      const address = {
        ...addressOf(await running.serve(backend)),
        ...(admin && { admin: { host: admin.host, port: admin.port } }),
      };
      running.begin();
      const { workers, whyWorkers } = running;
      const facts = { event: 'listening', ...address, backend: backend.name };
      const text = `millrace listens on ${address.url}`;
      running.log.info({ ...facts, version: backend.version, why, workers, whyWorkers }, text);
      return address;
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  async attach(server: AttachableServer): Promise<Attachment> {
    const { attachedBackend } = await import('../main/backend/ws-attach.ts');
    const { parts } = await this.#run();
    const attached = await this.serve(
      attachedBackend(server, {
        socket: (head) => parts.server.servesSocket(head),
        plain: (head) => parts.server.servesPlain(head),
      }),
    );
    return {
      handle: (request, response) => attached.handle(request, response),
      detach: () => attached.close(),
    };
  }

  async #choose(): Promise<Choice> {
    const { server } = this.options;
    const { beyondUws, chooseBackend } = await import('../main/backend/choose.ts');
    const beyond = beyondUws(server);
    return chooseBackend({ want: server.backend, injected: this.#extras.uws, beyond });
  }

  async serve<L extends Listening>(backend: Served<L>): Promise<L> {
    const running = await this.#run();
    const listening = await running.serve(backend);
    running.begin();
    return listening;
  }

  /** What `engine.route` added stays, whatever the options say. */
  #withRoutes(options: Options): Options {
    const added = this.#routes.filter(
      (own) => !options.routes.some(({ path }) => path === own.path),
    );
    if (added.length === 0) return options;
    const routes = Object.freeze([...options.routes, ...added]) as Options['routes'];
    return Object.freeze({ ...options, routes });
  }

  async update(user: UserOptions): Promise<readonly string[]> {
    const options = this.#withRoutes(resolveOptions({ code: user }).options);
    const running = await this.#running;
    if (this.#closed) throw new MillraceError('MILLRACE_CLOSED', {});
    const changes = changesOf(this.#options, options);
    refuseFixed(changes);
    const told = running?.change(options);
    this.#options = options;
    await told;
    return changes.map(({ text }) => text);
  }

  ready(): Readiness {
    if (this.#over) return { ready: false, reason: 'the engine is closed' };
    return this.#now?.ready() ?? { ready: false, reason: 'starting' };
  }

  status(): Status {
    if (!this.#now || this.#over) throw new MillraceError('MILLRACE_CLOSED', {});
    return this.#now.status();
  }

  close({ drain = false }: { readonly drain?: boolean } = {}): Promise<void> {
    this.#closed ??= (async () => {
      const running = await this.#running?.catch(() => undefined);
      await running?.stop(drain);
      this.metrics.unregister();
      this.#over = true;
    })();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<Running> {
    if (this.#closed) throw new MillraceError('MILLRACE_CLOSED', {});
    this.#running ??= this.#start();
    return await this.#running;
  }

  async #start(): Promise<Running> {
    // Loaded here, so that importing the package stays cheap; the other threads load at the same time.
    const { EarlyThreads } = await import('./early-threads.ts');
    const early = new EarlyThreads(this.options);
    const { run } = await import('./run.ts');
    const { createLog } = await import('../observe/log.ts');
    const log = this.#extras.log ?? createLog(this.options.log);
    this.#now = await run(this.options, early, log, {
      paths: this.#paths,
      ...(this.#extras.otel && { otel: this.#extras.otel }),
      sockets: this.#sockets,
    });
    return this.#now;
  }
}
