/** What runs: the threads and main's half, whoever brings the clients. */
import { MillraceError } from '../errors.ts';
import type { Admin } from '../main/admin.ts';
import type { BackendHandlers, Listening, ListenOptions } from '../main/backend/backend.ts';
import type { TlsMaterial } from '../main/backend/tls-material.ts';
import { trustedPeers } from '../main/backend/trusted-peers.ts';
import type { Paths } from '../main/paths.ts';
import type { SocketPaths } from '../main/sockets.ts';
import { type Readiness, readiness, type Status, status } from '../main/status.ts';
import { TlsKeeper } from '../main/tls-keeper.ts';
import type { Log } from '../observe/log.ts';
import type { Otel } from '../observe/spans.ts';
import type { Options } from '../options/schema.ts';
import type { Dialect } from '../protocol/dialect.ts';
import { loadDialects } from '../threads/user-protocols.ts';
import { systemClock, systemRandom, systemTicker } from '../threads/world.ts';
import { type Assembled, assemble } from './assemble.ts';
import type { EarlyThreads } from './early-threads.ts';
import { start } from './start.ts';
import { Started } from './started.ts';

/** What the application adds to the options before the start. */
export interface Application {
  readonly paths: Paths;
  /** Client protocols of its own: main writes their complaints. */
  readonly dialects?: Readonly<Record<string, Dialect>>;
  readonly otel?: Otel;
  readonly sockets: SocketPaths;
}

/** Whoever brings clients: a server, an application's server, memory. */
export interface Served<L extends Listening> {
  listen(options: ListenOptions, handlers: BackendHandlers): Promise<L>;
}

export interface Running {
  readonly parts: Assembled;
  readonly log: Log;
  readonly admin: Admin | undefined;
  readonly workers: number;
  readonly whyWorkers: string;
  /** @throws MILLRACE_CLOSED when it was stopped meanwhile. */
  serve<L extends Listening>(backend: Served<L>): Promise<L>;
  /** Ready from here on: where it listens is settled. */
  begin(): void;
  ready(): Readiness;
  status(): Status;
  /** Puts other options into force. @throws MILLRACE_UPSTREAM_ROWS_FULL; nothing has changed then. */
  change(options: Options): Promise<void>;
  stop(drain: boolean): Promise<void>;
}

/** @throws MILLRACE_START_FAILED, MILLRACE_PORT_TAKEN; nothing stays running then, the early threads neither. */
export async function run(
  asked: Options,
  early: EarlyThreads,
  log: Log,
  application: Application,
): Promise<Running> {
  const started = new Started();
  try {
    started.then(() => early.stop());
    const simulated = (await early.demo?.upstreams()) ?? [];
    const whole = (options: Options) => ({
      ...options,
      upstreams: [...options.upstreams, ...simulated],
    });
    const options = whole(asked);
    const dialects = await loadDialects(options);
    const parts = assemble(options, early, log, { ...application, dialects });
    const listenings = new Set<Listening>();
    const admin = await start(parts, started, listenings);
    const { workers, whyWorkers } = early;
    const told = { log, admin, workers, whyWorkers };
    const change = (changed: Options) => parts.configured.change(whole(changed), parts);
    return running(parts, { ...told, change }, started, listenings);
  } catch (thrown) {
    await started.stop(false);
    throw thrown;
  }
}

function running(
  parts: Assembled,
  told: Pick<Running, 'log' | 'admin' | 'workers' | 'whyWorkers' | 'change'>,
  started: Started,
  listenings: Set<Listening>,
): Running {
  const { server, configured } = parts;
  const keeper = tlsKeeper(configured.now.options, told.log);
  started.then(() => keeper.stop());
  let trusts = trustedPeers(configured.now.options.server.trustedProxies);
  configured.join({
    reconfigure(options) {
      trusts = trustedPeers(options.server.trustedProxies);
      void keeper.reconfigure(options);
    },
  });
  let stopped = false;
  return {
    parts,
    ...told,
    async serve(backend) {
      const proxies = (address: string) => trusts(address);
      const tls = await keeper.load();
      const listening = await backend.listen(
        listenOptions(configured.now.options, proxies, tls),
        server,
      );
      if (stopped) {
        await listening.close();
        throw new MillraceError('MILLRACE_CLOSED', {});
      }
      listenings.add(listening);
      keeper.keep(listening);
      return listening;
    },
    begin: () => server.start(),
    ready: () => readiness(parts),
    status: () => status(parts),
    stop(drain) {
      stopped = true;
      return started.stop(drain);
    },
  };
}

function listenOptions(
  { server, memory, compression }: Options,
  trusts: (address: string) => boolean,
  tls: TlsMaterial | undefined,
): ListenOptions {
  const { host, port, messageBytesMax, reusePort, proxyProtocol } = server;
  return {
    host,
    port,
    messageBytesMax,
    bodyBytesMax: memory.largeBodyBytes,
    reusePort,
    ...(tls && { tls }),
    ...deflateTerms(compression),
    ...(proxyProtocol !== 'off' && { proxy: { required: proxyProtocol === 'required', trusts } }),
  };
}

function deflateTerms({
  permessageDeflate: window,
  minCompressSize,
}: Options['compression']): Pick<ListenOptions, 'deflate'> {
  if (window === 'off') return {};
  // With a window a token is told from those before it: also short ones become shorter.
  return { deflate: { window, minBytes: window === 'shared' ? minCompressSize : 0 } };
}

function tlsKeeper({ server }: Options, log: Log): TlsKeeper {
  return new TlsKeeper({
    tls: server.tls,
    clock: systemClock,
    random: systemRandom,
    ticker: systemTicker,
    renewed: (certFile) =>
      log.info({ event: 'tls-renewed', certFile }, `the certificate in ${certFile} is in force`),
    warn: (text) => log.warn({ event: 'tls-warning' }, text),
    failed: ({ code, message }) =>
      log.error({ event: 'tls-failed', code }, `${message}; the former certificates stay`),
  });
}
