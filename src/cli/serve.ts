/** Runs an engine until a signal: the first lets running streams finish, a second ends at once; SIGHUP reads the configuration again. */
import type { EventEmitter } from 'node:events';
import { asMillraceError } from '../errors.ts';
import type { Log } from '../observe/log.ts';
import type { Resolved } from '../options/resolve.ts';
import type { Options } from '../options/schema.ts';

/** What serve needs of an engine. */
export interface Served {
  listen(): Promise<{ readonly url: string }>;
  /** Sentences about what changed. */
  update(options: Options): Promise<readonly string[]>;
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
  const onHangUp = reloader(world);
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

/** Reads again on each signal, one after the other; signals that come meanwhile are one. */
function reloader(world: ServeWorld): () => void {
  let running = false;
  let again = false;
  const run = async () => {
    running = true;
    do {
      again = false;
      await reload(world);
    } while (again);
    running = false;
  };
  return () => {
    if (running) again = true;
    else void run();
  };
}

/** Never rejects: whatever is wrong with what was read, the engine goes on as it was. */
async function reload(world: ServeWorld): Promise<void> {
  const { engine, log } = world;
  try {
    const changes = await engine.update(world.resolveAgain().options);
    const said = changes.length === 0 ? 'nothing changed' : changes.join('; ');
    log.info({ event: 'reloaded', changes }, `configuration read again: ${said}`);
  } catch (thrown) {
    const { code, message } = asMillraceError(thrown);
    const problems = message.split('\n');
    log.error(
      { event: 'reload-refused', code, problems },
      `configuration unchanged: ${problems.join('; ')}`,
    );
  }
}
