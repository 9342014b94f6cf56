/**
 * The admin port: health, readiness, metrics, status, and draining or weighing an upstream by hand. Plain node:http on an address of its
 * own, apart from the clients' port, so that a flood of clients cannot hide the process from its operator.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';

/** What the engine tells and does for the operator. */
export interface AdminSources {
  /** Not ready: starting, draining, or without any usable upstream; `reason` says which. */
  ready(): { readonly ready: boolean; readonly reason: string };
  /** In the format that the scraper's Accept header prefers. */
  metrics(accept: string | undefined): Promise<{ contentType: string; text: string }>;
  /** Anything JSON: version, uptime, backend, sessions, streams, workers, upstreams. Without secrets. */
  status(): unknown;
  /** The newest changes of state and faults. Without secrets. */
  events(): unknown;
  /** Who was refused most by the limits; keys are hashes. */
  limits(): unknown;
  /** Rejects with a MillraceError; resolves when no new stream will start there (or may again). */
  drain(upstream: string, drained: boolean): Promise<void>;
  /** As `drain`: another weight than the configured one, 1 to 65535; 0: that one again. */
  weigh(upstream: string, weight: number): Promise<void>;
  /** A source threw something that is not a MillraceError: for the log; the client only learns that it failed. */
  fault?(error: unknown, where: string): void;
}

export interface Admin {
  readonly host: string;
  readonly port: number;
  /** Changed options, from the next request on. */
  reconfigure(options: Options): void;
  close(): Promise<void>;
}

/** Says who comes how often: needs the token, as actions do. */
const LIMITS_PATH = '/limits.json';

/** Actions carry no body; whatever is sent is read only to be dropped. */
const BODY_BYTES_MAX = 64 * 1024;
const CONNECTIONS_MAX = 256;
const WEIGHT_MAX = 65_535;
const REQUEST_TIMEOUT_MS = 10_000;

interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** @throws MILLRACE_PORT_TAKEN, MILLRACE_LISTEN_FAILED */
export async function startAdmin(options: Options, sources: AdminSources): Promise<Admin> {
  const { host, port } = options.admin;
  const server = createServer({
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 1_000,
  });
  let current = options;
  server.maxConnections = CONNECTIONS_MAX;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void serve(current, sources, request, response);
  });
  await listen(server, host, port);
  const bound = server.address() as { port: number };
  const reconfigure = (changed: Options) => void (current = changed);
  return { host, port: bound.port, reconfigure, close: () => close(server) };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(
        taken
          ? new MillraceError('MILLRACE_PORT_TAKEN', { host, port }, { cause: error })
          : new MillraceError(
              'MILLRACE_LISTEN_FAILED',
              { host, port, reason: error.message },
              { cause: error },
            ),
      );
    });
    server.listen({ host: unbracketed(host), port, exclusive: true }, resolve);
  });
}

/** A scrape that runs may finish; idle connections end at once. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    const late = setTimeout(() => server.closeAllConnections(), 1_000);
    late.unref();
  });
}

async function serve(
  options: Options,
  sources: AdminSources,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let answer: Answer;
  try {
    answer = (await dropBody(request))
      ? await answerTo(options, sources, request)
      : failure(new MillraceError('MILLRACE_MESSAGE_TOO_LARGE', { max: BODY_BYTES_MAX }));
  } catch (error) {
    if (!(error instanceof MillraceError)) sources.fault?.(error, `admin ${request.url}`);
    answer = failure(error);
  }
  response.writeHead(answer.status, {
    'content-type': answer.type ?? 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...answer.headers,
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}

/** False when more came than any action needs. */
async function dropBody(request: IncomingMessage): Promise<boolean> {
  let bytes = 0;
  // Left early, the request must stay whole: the answer goes over the same socket.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > BODY_BYTES_MAX) return false;
  }
  return true;
}

async function answerTo(
  options: Options,
  sources: AdminSources,
  request: IncomingMessage,
): Promise<Answer> {
  if (!hostAllowed(options, request.headers.host)) {
    throw new MillraceError('MILLRACE_HOST_FORBIDDEN', {});
  }
  const path = (request.url ?? '/').split('?')[0];
  const action = /^\/upstreams\/([^/]+)\/(drain|undrain|weight\/(\d{1,5}|configured))$/.exec(path);
  if (action) {
    if (request.method !== 'POST') return wrongMethod('POST');
    const refused = checkToken(options.admin.token, request.headers.authorization);
    if (refused) return refused;
    return act(options, sources, action);
  }
  if (path === LIMITS_PATH) {
    if (request.method !== 'GET' && request.method !== 'HEAD') return wrongMethod('GET, HEAD');
    const refused = checkToken(options.admin.token, request.headers.authorization);
    return refused ?? json(200, sources.limits());
  }
  const page = pages[path];
  if (!page) throw new MillraceError('MILLRACE_PATH_UNKNOWN', {});
  if (request.method !== 'GET' && request.method !== 'HEAD') return wrongMethod('GET, HEAD');
  return page(sources, request.headers.accept);
}

type Page = (sources: AdminSources, accept: string | undefined) => Answer | Promise<Answer>;

const pages: Readonly<Record<string, Page>> = Object.assign(
  Object.create(null) as Record<string, Page>,
  {
    '/healthz': () => json(200, { status: 'alive' }),
    '/readyz': (sources: AdminSources) => {
      const state = sources.ready();
      return json(state.ready ? 200 : 503, state);
    },
    '/metrics': exportMetrics,
    '/status.json': (sources: AdminSources) => json(200, sources.status()),
    '/events.json': (sources: AdminSources) => json(200, sources.events()),
  },
);

/** A scraper shows what it got: the reason is worth more to its reader than our own form of errors. */
async function exportMetrics(sources: AdminSources, accept: string | undefined): Promise<Answer> {
  try {
    const { contentType, text } = await sources.metrics(accept);
    return { status: 200, type: contentType, body: text, headers: { vary: 'accept' } };
  } catch (error) {
    sources.fault?.(error, 'admin /metrics');
    const reason = error instanceof Error ? error.message : String(error);
    const type = 'text/plain; charset=utf-8';
    return { status: 500, type, body: `Failed to export metrics: ${reason}` };
  }
}

/** `said`: the upstream's name, what to do, and the weight. */
async function act(
  options: Options,
  sources: AdminSources,
  [, encoded, action, said]: readonly (string | undefined)[],
): Promise<Answer> {
  const name = decoded(encoded ?? '');
  if (!options.upstreams.some((upstream) => upstream.name === name)) {
    return json(404, { error: { code: 'upstream_not_found', message: 'no such upstream' } });
  }
  if (said === undefined) {
    const drained = action === 'drain';
    await sources.drain(name, drained);
    return json(200, { upstream: name, drained });
  }
  if (said === 'configured') {
    await sources.weigh(name, 0);
    return json(200, { upstream: name, weight: said });
  }
  const weight = Number(said);
  if (weight < 1 || weight > WEIGHT_MAX) {
    const expected = `a number from 1 to ${WEIGHT_MAX}, or configured`;
    throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'weight', expected, got: said });
  }
  await sources.weigh(name, weight);
  return json(200, { upstream: name, weight });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** Undefined: the caller may act. */
function checkToken(token: string | undefined, header: string | undefined): Answer | undefined {
  if (token === undefined) {
    const message = 'actions are off: set admin.token to allow them';
    return json(403, { error: { code: 'actions_off', message } });
  }
  const given = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
  if (given !== undefined && sameSecret(given, token)) return undefined;
  const message = 'this action needs Authorization: Bearer with admin.token';
  return {
    ...json(401, { error: { code: 'token_invalid', message } }),
    headers: { 'www-authenticate': 'Bearer' },
  };
}

/** Compares digests: equal length, constant time. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

const local: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * A web page can make a browser ask its own name, rebound to our address: then Host is that name. Names other than ours are
 * refused; addresses cannot be rebound, so that any address is served when we listen on all of them.
 */
function hostAllowed(options: Options, header: string | undefined): boolean {
  if (header === undefined) return false;
  const name = header.replace(/:\d*$/, '').toLowerCase();
  const bound = options.admin.host.toLowerCase();
  if (local.has(name) || name === bound || name === `[${bound}]`) return true;
  if (options.server.allowedHosts.some((host) => host === '*' || host.toLowerCase() === name)) {
    return true;
  }
  const everywhere = bound === '0.0.0.0' || unbracketed(bound) === '::';
  return everywhere && (/^\d+\.\d+\.\d+\.\d+$/.test(name) || /^\[[0-9a-f:.]+\]$/.test(name));
}

const unbracketed = (host: string) => host.replace(/^\[(.*)\]$/, '$1');

function json(status: number, body: unknown): Answer {
  return { status, body: `${JSON.stringify(body)}\n` };
}

function wrongMethod(allow: string): Answer {
  return {
    ...failure(new MillraceError('MILLRACE_METHOD_UNSUPPORTED', {})),
    headers: { allow },
  };
}

/** What was not made for others' eyes stays inside: an unknown error is only called internal. */
function failure(thrown: unknown): Answer {
  const error =
    thrown instanceof MillraceError
      ? thrown
      : new MillraceError('MILLRACE_INTERNAL', { reason: 'see the log' }, { cause: thrown });
  const body = { error: { code: error.word, message: error.message } };
  return json(error.failure.status, body);
}
