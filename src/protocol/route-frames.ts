/** What the generators of routes say, as frames: the same in a worker and on main. */
import { asMillraceError, MillraceError } from '../errors.ts';
import { errorFrame } from './dialects/route.ts';

export type RouteFrames = AsyncIterator<unknown> | Iterator<unknown>;

/** @throws TypeError for what is no generator. */
export function framesOf(answer: unknown): RouteFrames {
  if (typeof answer === 'object' && answer !== null) {
    if (Symbol.asyncIterator in answer) {
      return (answer as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    }
    if (Symbol.iterator in answer) return (answer as Iterable<unknown>)[Symbol.iterator]();
  }
  throw new TypeError('a route returns an async generator: write `async function*`');
}

/** @throws TypeError for what is no frame; MILLRACE_OUTPUT_TOO_LARGE. */
export function frameOf(value: unknown, bytesMax: number): { bytes: Uint8Array; binary: boolean } {
  const binary = value instanceof Uint8Array;
  const bytes = binary ? value : Buffer.from(textOf(value));
  if (bytes.byteLength > bytesMax) {
    throw new MillraceError('MILLRACE_OUTPUT_TOO_LARGE', { max: bytesMax });
  }
  return { bytes, binary };
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : undefined;
  if (text !== undefined) return text;
  throw new TypeError(`a route yields strings, bytes or objects, not ${String(value)}`);
}

export interface RouteFailure {
  /** What is counted. */
  readonly error: MillraceError;
  /** What the client gets. */
  readonly frame: Uint8Array;
  /** What the operator hears: absent for a failure of ours, which was told already. */
  readonly fault?: MillraceError;
}

/** What a handler threw. Its own words are not for clients, unless it says so. */
export function failureOf(thrown: unknown): RouteFailure {
  if (thrown instanceof MillraceError) return { error: thrown, frame: errorFrame(thrown) };
  const error = new MillraceError('MILLRACE_ROUTE_FAILED', {});
  return { error, frame: errorFrame(error, exposed(thrown)), fault: asMillraceError(thrown) };
}

/** An error made for clients says so: `expose: true`, as HTTP frameworks have it. */
function exposed(thrown: unknown): { code?: string; message?: string } {
  if (!(thrown instanceof Error) || !('expose' in thrown) || thrown.expose !== true) return {};
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
  const short = code !== undefined && /^[\w.-]{1,64}$/.test(code);
  return { message: thrown.message, ...(short ? { code } : {}) };
}
