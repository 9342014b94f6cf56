/** Runs an engine until a signal: the first lets running streams finish, a second ends at once. */
import type { EventEmitter } from 'node:events';
import type { Log } from '../observe/log.ts';
import type { Resolved } from '../options/resolve.ts';

/** What serve needs of an engine. */
export interface Served {
  listen(): Promise<{ readonly url: string }>;
  close(options?: { readonly drain?: boolean }): Promise<void>;
}

export interface ServeWorld {
  readonly engine: Served;
  readonly log: Log;
  /** Where signals come from: `process`. */
  readonly signals: EventEmitter;
  /** Reads file, environment and flags again, as they are by now. @throws MILLRACE_OPTION_INVALID, MILLRACE_CONFIG_UNREADABLE */
  resolveAgain(): Resolved;
  /** Ends the process now. */
  exit(code: number): void;
  /** Called with the address once clients can come. */
  onListening?(url: string): void;
}

/** A second signal cut streams off. */
const EXIT_CUT_OFF = 1;

/** Resolves with the exit code once everything is closed. Rejects when the engine cannot start. */
export async function serve(world: ServeWorld): Promise<number> {
  const { engine, log, signals } = world;
  let asked: string | undefined;
  let stop: () => void = () => {};
  const stopping = new Promise<void>((resolve) => (stop = resolve));
  const onStop = (signal: string) => {
    if (asked !== undefined) {
      log.warn({ event: 'cut-off', signal }, 'second signal: ending without waiting for streams');
      world.exit(EXIT_CUT_OFF);
      return;
    }
    asked = signal;
    log.info({ event: 'stopping', signal }, 'stopping: running streams may finish');
    stop();
  };
  const onHangUp = () =>
    log.info({ event: 'hang-up' }, 'SIGHUP ignored: restart to read a changed configuration');
  signals.on('SIGTERM', onStop);
  signals.on('SIGINT', onStop);
  signals.on('SIGHUP', onHangUp);
  try {
    const { url } = await engine.listen();
    // A signal during the start found nobody to tell: it is obeyed here.
    if (asked === undefined) world.onListening?.(url);
    await stopping;
    await engine.close({ drain: true });
    log.info({ event: 'stopped' }, 'stopped');
    return 0;
  } finally {
    signals.off('SIGTERM', onStop);
    signals.off('SIGINT', onStop);
    signals.off('SIGHUP', onHangUp);
  }
}
