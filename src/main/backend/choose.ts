/** Which server runs: uWebSockets.js where it loads, otherwise `ws`. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MillraceError } from '../../errors.ts';
import type { Options } from '../../options/schema.ts';
import type { Backend } from './backend.ts';
import { createUwsBackend } from './uws.ts';
import { asUwsModule, type LoadedUws, loadNative } from './uws-module.ts';

export interface Choice {
  readonly backend: Backend;
  /** One sentence for one log line: which, which version, why not the others. */
  readonly why: string;
}

/**
 * Tries, in this order: the uWebSockets.js module the embedder passed, the one installed beside the application, the one beside millrace, and
 * the build for older C libraries that millrace is developed with. @throws MILLRACE_BACKEND_UNAVAILABLE when `want` is 'uws' and none loads.
 */
export async function chooseBackend(options: {
  readonly want: 'auto' | 'uws' | 'ws';
  readonly injected?: unknown;
  /** What uWebSockets.js cannot do and is asked for: `ws` runs then, where nothing else is insisted on. */
  readonly beyond?: string | undefined;
}): Promise<Choice> {
  if (options.beyond !== undefined) return withoutUws(options.want, options.beyond);
  if (options.want === 'ws') return { backend: await loadWs(), why: 'ws, as configured' };
  const refusals: string[] = [];
  for (const [where, load] of candidates(options.injected)) {
    try {
      const loaded = load();
      const others = refusals.length === 0 ? '' : ` (${refusals.join('; ')})`;
      return {
        backend: createUwsBackend(loaded.module, loaded.version),
        why: `uWebSockets.js ${loaded.version}, ${where}${others}`,
      };
    } catch (error) {
      const reason = firstReason(error);
      // Millrace beside the application: the same package for both, said once.
      if (!refusals.at(-1)?.endsWith(`: ${reason}`)) refusals.push(`${where}: ${reason}`);
    }
  }
  const reason = refusals.join('; ');
  if (options.want === 'uws')
    throw new MillraceError('MILLRACE_BACKEND_UNAVAILABLE', { backend: 'uWebSockets.js', reason });
  const backend = await loadWs();
  return { backend, why: `ws ${backend.version}, because uWebSockets.js did not load (${reason})` };
}

async function withoutUws(want: 'auto' | 'uws' | 'ws', beyond: string): Promise<Choice> {
  if (want === 'uws') {
    const reason = `it cannot do ${beyond}`;
    throw new MillraceError('MILLRACE_BACKEND_UNAVAILABLE', { backend: 'uWebSockets.js', reason });
  }
  const backend = await loadWs();
  return { backend, why: `ws ${backend.version}, because of ${beyond}` };
}

/** What of these options uWebSockets.js cannot do. Of the PROXY protocol it knows one form, so it takes part only where it is insisted on. */
export function beyondUws({ tls, proxyProtocol, backend }: Options['server']): string | undefined {
  if (tls.caFile !== undefined) return 'server.tls.caFile';
  if (proxyProtocol === 'off') return undefined;
  if (tls.certFile !== undefined) return 'server.proxyProtocol in front of server.tls';
  return backend === 'uws' ? undefined : 'server.proxyProtocol';
}

/** Loaded where it serves only: a start waits for every module it loads. */
async function loadWs(): Promise<Backend> {
  const { createWsBackend } = await import('./ws.ts');
  return createWsBackend();
}

type Candidate = readonly [where: string, load: () => LoadedUws];

function candidates(injected: unknown): Candidate[] {
  const application = pathToFileURL(join(process.cwd(), 'package.json')).href;
  const named: Candidate[] = [
    ['installed by the application', () => loadNative('uWebSockets.js', application)],
    ['installed with millrace', () => loadNative('uWebSockets.js', import.meta.url)],
    ['the build for older C libraries', () => loadNative('uws-glibc227', import.meta.url)],
  ];
  return injected === undefined
    ? named
    : [['passed by the embedder', () => fromEmbedder(injected)], ...named];
}

function fromEmbedder(injected: unknown): LoadedUws {
  const module = asUwsModule(injected);
  if (module === undefined) throw new Error('it has no App function');
  return { module, version: 'of unknown version' };
}

/** The line that tells: a loader's message names the missing symbol version or the package and then a stack of paths. */
function firstReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const glibc = /version `(GLIBC\w*_[\d.]+)' not found/.exec(text);
  if (glibc) return `needs ${glibc[1]}`;
  if (text.startsWith('Cannot find module')) return 'not installed';
  return text.split('\n')[0].slice(0, 200);
}
