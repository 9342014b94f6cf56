/** What the engine would find on this machine, asked of the parts that know; nothing is started. */
import { type CodecProbe, probeCodecs } from '../codec/probe.ts';
import { asMillraceError } from '../errors.ts';
import { chooseBackend } from '../main/backend/choose.ts';
import { probePort } from '../main/backend/probe-port.ts';
import { type MemoryProbe, probeMemory } from '../memory/probe.ts';
import type { Options } from '../options/schema.ts';
import { type WorkerCount, workerCount } from '../threads/worker-count.ts';

export interface EngineProbe {
  /** The server that would run, with the reason; or why none can. */
  readonly backend: { readonly name: string; readonly why: string } | { readonly failed: string };
  readonly workers: WorkerCount;
  readonly codecs: CodecProbe;
  readonly memory: MemoryProbe;
  /** By option: where it would listen, and the code of the error if it cannot. */
  readonly ports: readonly {
    readonly option: string;
    readonly host: string;
    readonly port: number;
    readonly error?: string;
  }[];
}

export async function probeEngine(options: Options): Promise<EngineProbe> {
  return {
    backend: await chooseBackend({ want: options.server.backend }).then(
      ({ backend, why }) => ({ name: backend.name, why }),
      (error: unknown) => ({ failed: asMillraceError(error).message }),
    ),
    workers: workerCount(options.threads.workers),
    codecs: probeCodecs(),
    memory: probeMemory(),
    ports: await probePorts(options),
  };
}

async function probePorts({ server, admin }: Options): Promise<EngineProbe['ports']> {
  const asked = [
    // Shared on purpose, it may be taken.
    ...(server.reusePort ? [] : [{ option: 'server.port', ...server }]),
    ...(admin.enabled ? [{ option: 'admin.port', ...admin }] : []),
  ];
  return Promise.all(
    asked.map(async ({ option, host, port }) => {
      const error = await probePort(host, port);
      return { option, host, port, ...(error === undefined ? {} : { error }) };
    }),
  );
}
