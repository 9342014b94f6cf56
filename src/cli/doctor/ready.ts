/** Asks a running gateway whether it is ready. */
import type { Options } from '../../options/schema.ts';

const ANSWER_MS_MAX = 3_000;
const ANSWER_CHARACTERS_MAX = 200;

export interface Readiness {
  readonly ready: boolean;
  readonly text: string;
}

/** The address of /readyz: of the URL, or of the admin port of the options. @throws Error with a sentence. */
export async function readyUrl(url: string | undefined, options: () => Options): Promise<URL> {
  if (url === undefined) return ofAdmin(options().admin);
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol)) {
    throw new Error('--url must be a URL such as http://127.0.0.1:9090');
  }
  return base.pathname === '/' ? new URL('/readyz', base) : base;
}

function ofAdmin({ enabled, host, port }: Options['admin']): URL {
  if (!enabled) throw new Error('admin.enabled is false: there is nobody to ask');
  if (port === 0) throw new Error('admin.port is 0, which is any port: say which with --url');
  // Who listens on every address answers on the loopback one.
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  const name = bare === '0.0.0.0' ? '127.0.0.1' : bare === '::' ? '::1' : bare;
  return new URL(`http://${name.includes(':') ? `[${name}]` : name}:${port}/readyz`);
}

/** Never rejects. */
export async function askReady(url: URL): Promise<Readiness> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const response = await fetch(url, { signal, redirect: 'error' });
    const body = (await response.text()).trim().slice(0, ANSWER_CHARACTERS_MAX);
    const ready = response.status === 200;
    return { ready, text: `${ready ? 'ready' : `not ready (${response.status})`}: ${body}` };
  } catch (error) {
    return { ready: false, text: `${url.href} does not answer: ${reasonOf(error as Error)}` };
  }
}

function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError') return `nothing within ${ANSWER_MS_MAX} ms`;
  const { code, message } = (error.cause ?? error) as NodeJS.ErrnoException;
  return code === 'ECONNREFUSED' ? 'nobody listens there' : (code ?? message);
}
