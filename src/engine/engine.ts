/**
 * The whole engine in one object: shared memory, the coordinator, the workers, the server, the admin port, started in the order in
 * which they need one another and stopped in the opposite one.
 */
import { MillraceError } from '../errors.ts';
import { chooseBackend } from '../main/backend/choose.ts';
import { createLog, type Log } from '../observe/log.ts';
import { resolveOptions } from '../options/resolve.ts';
import type { Options, UserOptions } from '../options/schema.ts';
import { workerCount } from '../threads/worker-count.ts';
import { assemble } from './assemble.ts';
import { withDemo } from './demo.ts';
import { start } from './start.ts';
import { Started } from './started.ts';

/** What an embedder may bring along. */
export interface EngineExtras {
  /** Takes every log line; default: pino to standard output at `log.level`. */
  readonly log?: Log;
  /** The application's own uWebSockets.js module. */
  readonly uws?: unknown;
}

/** Where the engine listens. */
export interface Address {
  /** ws://host:port */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly admin?: { readonly host: string; readonly port: number };
}

export interface Engine {
  /** The options in force, all defaults filled in. */
  readonly options: Options;
  /**
   * Starts everything. Once per engine.
   *
   * @throws MILLRACE_PORT_TAKEN, MILLRACE_LISTEN_FAILED, MILLRACE_BACKEND_UNAVAILABLE, MILLRACE_START_FAILED; nothing stays
   *   running then. MILLRACE_CLOSED when it was started before.
   */
  listen(): Promise<Address>;
  /**
   * Ends everything; idempotent. `drain`: running streams may finish first, for at most `server.shutdownTimeoutMs`, and clients
   * are told to come back (1012). Without it they are closed at once.
   */
  close(options?: { readonly drain?: boolean }): Promise<void>;
}

/**
 * An engine that does not run yet.
 *
 * @throws MILLRACE_OPTION_INVALID with every problem at once.
 */
export function createEngine(user: UserOptions = {}, extras: EngineExtras = {}): Engine {
  const { options } = resolveOptions({ code: user });
  let running: Promise<Running> | undefined;
  let closed: Promise<void> | undefined;
  return {
    options,
    async listen() {
      if (running || closed) throw new MillraceError('MILLRACE_CLOSED', {});
      running = run(options, extras);
      return (await running).address;
    },
    close({ drain = false } = {}) {
      closed ??= (async () => {
        const engine = await running?.catch(() => undefined);
        await engine?.stop(drain);
      })();
      return closed;
    },
  };
}

interface Running {
  readonly address: Address;
  stop(drain: boolean): Promise<void>;
}

async function run(asked: Options, extras: EngineExtras): Promise<Running> {
  const log = extras.log ?? createLog(asked.log);
  const started = new Started();
  try {
    const { backend, why } = await chooseBackend({
      want: asked.server.backend,
      injected: extras.uws,
    });
    const options = asked.demo.enabled ? await withDemo(asked, started) : asked;
    const { workers, why: whyWorkers } = workerCount(options.threads.workers);
    const assembled = assemble(options, workers, log);
    const address = await start(assembled, backend, started, log);
    log.info(
      { event: 'listening', ...address, backend: backend.name, why, workers, whyWorkers },
      `millrace listens on ${address.url}`,
    );
    return { address, stop: (drain) => started.stop(drain) };
  } catch (thrown) {
    await started.stop(false);
    throw thrown;
  }
}
