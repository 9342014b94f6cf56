/** Things compared in one series: each a server of its own, all alive at once, measured in turns. */
import { type Load, runLoad, type Server, startServer } from './children.ts';
import { interleave } from './rounds.ts';

export interface Variant {
  readonly name: string;
  /** File in support/peers. */
  readonly peer: string;
  readonly settings: object;
  /** Where the load knocks. */
  readonly path?: string;
  /** What the load generator does differently for it. */
  readonly load?: Readonly<Record<string, string | number>>;
}

export async function startAll(variants: readonly Variant[], pin: boolean): Promise<Server[]> {
  const servers: Server[] = [];
  try {
    for (const variant of variants) {
      servers.push(await startServer(variant.name, variant.peer, variant.settings, pin));
    }
  } catch (error) {
    await Promise.all(servers.map((server) => server.child.end()));
    throw error;
  }
  return servers;
}

export interface Series {
  readonly mode: string;
  readonly options: Readonly<Record<string, string | number>>;
  readonly rounds: number;
  readonly pin: boolean;
  progress(text: string): void;
  describe(load: Load): string;
  after?(load: Load): Promise<void>;
}

/** One series of interleaved rounds over servers that already run. */
export function measureAll(
  servers: readonly Server[],
  variants: readonly Variant[],
  series: Series,
): Promise<Map<string, Load[]>> {
  return interleave(servers, series.rounds, async (server, round) => {
    const variant = variants.find(({ name }) => name === server.name);
    const options = { path: variant?.path ?? '/ws', ...series.options, ...variant?.load };
    const load = await runLoad(series.mode, server, options, series.pin);
    series.progress(`round ${round + 1} ${server.name}: ${series.describe(load)}`);
    await series.after?.(load);
    return load;
  });
}

/** CPU microseconds of the whole server per message (or token), round by round. */
export function perUnit(loads: readonly Load[] | undefined, of: 'messages' | 'tokens'): number[] {
  return (loads ?? []).map((load) => load.cpuNs / 1000 / load[of]);
}

/** The same, of the main thread alone. */
export function perUnitMain(
  loads: readonly Load[] | undefined,
  of: 'messages' | 'tokens',
): number[] {
  return (loads ?? []).map((load) => load.mainNs / 1000 / load[of]);
}

/** Where the load generator worked as hard as a server, its figures would be the generator's. */
export function clientDoubts(series: ReadonlyMap<string, readonly Load[]>): string[] {
  const notes: string[] = [];
  for (const [name, loads] of series) {
    const server = loads.reduce((sum, load) => sum + load.cpuNs, 0);
    const client = loads.reduce((sum, load) => sum + load.ownNs, 0);
    const share = (client / server).toFixed(2);
    notes.push(
      client < server
        ? `client CPU is ${share} of the server's (${name})`
        : `DOUBT: the client used more CPU than the server, ${share}x (${name})`,
    );
  }
  return notes;
}
