/**
 * The simulated upstream: a real HTTP and WebSocket server on loopback that speaks the protocols of the providers (voices/) with made-up answers, at a chosen
 * pace and with chosen faults (GET /faults lists them). It says in every header, id, model entry and first sentence that it is
 * simulated. Credentials are ignored.
 *
 *   request ──▶ chat-request, directives, faults ──▶ answer ──▶ script ──▶ play ──▶ sink
 *                      (what is wanted)              (what is said)   (when, how)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MillraceError } from '../errors.ts';
import { errorBody } from './error-body.ts';
import { describeFault, type Faults, faultNames, parseFaults } from './faults.ts';
import { Journal } from './journal.ts';
import { answerKept } from './kept-route.ts';
import { type Listener, listenOn } from './listener.ts';
import { type ResolvedOptions, resolveSimulated, type SimulatedOptions } from './options.ts';
import { AnswerRoute } from './route.ts';
import { Sockets } from './sockets/sockets.ts';
import { voices } from './voices/voices.ts';
import { Wheel } from './wheel.ts';

export interface FaultControl {
  /** Holds for all further requests, or for the next `requests` of them; undefined ends it. */
  set(faults: string | Faults | undefined, requests?: number): void;
  /** Refuses connections until it is called with false: the listener is closed, idle connections too. */
  refuse(on: boolean): Promise<void>;
  /** RST to every open connection. Answers how many. */
  resetAll(): number;
  /** Status of GET /healthz. */
  health(status: number): void;
}

export interface SimulatedServer {
  /** Base URL as upstreams are configured: up to and including /v1. */
  readonly url: string;
  /** The same without a path: the base URL of an ollama upstream. */
  readonly origin: string;
  /** Where its WebSockets are: `/v1` behind it is the base URL of an `openai-responses` upstream, `/ws` a back end that says back what it hears. */
  readonly socketOrigin: string;
  readonly name: string;
  readonly journal: Journal;
  readonly faults: FaultControl;
  /** Open TCP connections. */
  readonly connections: number;
  /** Streams not finished. */
  readonly streams: number;
  /** Answers that are kept for clients that may come back for the rest. */
  readonly kept: number;
  close(): Promise<void>;
}

/** Starts one. Throws MILLRACE_FIELD_INVALID, MILLRACE_PORT_TAKEN or MILLRACE_LISTEN_FAILED. */
export async function startSimulated(options: SimulatedOptions = {}): Promise<SimulatedServer> {
  const resolved = resolveSimulated(options);
  const journal = new Journal(resolved.journalEntriesMax);
  const wheel = new Wheel();
  const route = new AnswerRoute(resolved, journal, wheel);
  const health = { status: 200 };
  const sockets = new Sockets(route.sockets());
  const listener = await listenOn(
    resolved.port,
    (request, response) => dispatch(request, response, route, resolved, health),
    (request, socket, head) => sockets.upgrade(request, socket, head),
  );
  return {
    origin: `http://${listener.host}:${listener.port}`,
    socketOrigin: `ws://${listener.host}:${listener.port}`,
    url: `http://${listener.host}:${listener.port}/v1`,
    name: resolved.name,
    journal,
    faults: controlOf(listener, route, health),
    get connections() {
      return listener.connections;
    },
    get streams() {
      return route.streams;
    },
    get kept() {
      return route.kept.size;
    },
    async close() {
      route.close();
      await listener.close();
      wheel.stop();
    },
  };
}

function controlOf(
  listener: Listener,
  route: AnswerRoute,
  health: { status: number },
): FaultControl {
  return {
    set: (faults, requests) =>
      route.setFaults(typeof faults === 'string' ? parseFaults(faults) : faults, requests),
    refuse: (on) => listener.refuse(on),
    resetAll: () => listener.resetAll(),
    health: (status) => {
      health.status = status;
    },
  };
}

function dispatch(
  request: IncomingMessage,
  response: ServerResponse,
  route: AnswerRoute,
  options: ResolvedOptions,
  health: { status: number },
): void {
  const path = (request.url ?? '').split('?')[0] ?? '';
  response.setHeader('server', 'millrace-simulated');
  response.setHeader('x-simulated', options.name);
  if (answerKept(request, response, route.kept)) return;
  const voice = voices.find((each) => each.path === path);
  if (voice) {
    if (request.method === 'POST') return route.accept(voice, request, response);
    return sendError(response, new MillraceError('MILLRACE_METHOD_UNSUPPORTED', {}));
  }
  if (path === '/healthz' || path === '/v1/healthz') {
    return sendJson(response, health.status, {
      status: health.status === 200 ? 'ok' : 'failing',
      simulated: true,
    });
  }
  if (path === '/faults') {
    const faults = faultNames.map((name) => [name, describeFault(name)]);
    return sendJson(response, 200, Object.fromEntries(faults) as object);
  }
  if (path === '/v1/models') {
    const data = options.models.map((model) => modelEntry(model));
    return sendJson(response, 200, { object: 'list', data });
  }
  const model = options.models.find((one) => path === `/v1/models/${encodeURIComponent(one)}`);
  if (model !== undefined) return sendJson(response, 200, modelEntry(model));
  return sendError(response, new MillraceError('MILLRACE_PATH_UNKNOWN', {}));
}

function modelEntry(id: string) {
  return { id, object: 'model', created: 0, owned_by: 'millrace-simulated', simulated: true };
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(text);
}

function sendError(response: ServerResponse, error: MillraceError): void {
  sendJson(response, error.failure.status, errorBody(error));
}
