/** Decisions that an operator's own code takes: what hooks are asked, and what they may answer. */
import { MillraceError } from '../errors.ts';
import type { FinishReason, Usage } from './events.ts';
import type { ModelRequest } from './request.ts';

const PRINCIPAL_CHARS_MAX = 256;
const MESSAGE_CHARS_MAX = 1_000;

/** A client that wants to connect. */
export interface AuthRequest {
  /** Names in lower case; one that came several times is joined by ", ". */
  readonly headers: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly address: string;
  readonly path: string;
  /** The API key it shows, in Authorization or as a browser's subprotocol. */
  readonly key?: string;
}

export type AuthVerdict =
  | {
      readonly allow: true;
      /** Whose it is: for limits, ownership and logs. Never a secret. */
      readonly principal: string;
      /** `tier`: one of `limits.tiers`. */
      readonly rights?: { readonly models?: readonly string[]; readonly tier?: string };
    }
  /** `status` from 400 to 599, by default 401. */
  | { readonly allow: false; readonly status?: number; readonly message?: string };

/** A turn that is about to be sent to an upstream. */
export interface RequestAsked {
  readonly request: ModelRequest;
  readonly principal: string;
  readonly session: {
    readonly dialect: string;
    readonly address: string;
    /** What the operator calls its key. */
    readonly keyName?: string;
  };
}

export type RequestVerdict =
  /** As it is, as edited, or for another model. */
  | { readonly kind: 'go'; readonly request?: ModelRequest; readonly model?: string }
  /** The answer fails with this: an error of millrace's, or a sentence for the client. */
  | { readonly kind: 'refuse'; readonly error: MillraceError | { readonly message: string } };

/** A stream that ended. */
export interface Finished {
  readonly responseId: string;
  readonly outcome: 'finished' | 'failed' | 'cancelled';
  /** The text of the answer, as far as `hooks.textBytesMax` goes. */
  readonly text: string;
  /** Some of it is left out. */
  readonly textCut: boolean;
  readonly usage: Usage;
  readonly finish: FinishReason | undefined;
  readonly principal: string;
  readonly dialect: string;
  readonly model: string;
  /** The one asked last; '' when none was reached. */
  readonly upstream: string;
  readonly durationMs: number;
  readonly error?: { readonly code: string; readonly message: string };
}

/**
 * Called in the worker of the session. What throws or does not answer within `hooks.timeoutMs` has failed: nobody is let in, the
 * stream fails, the report is dropped.
 */
export interface Hooks {
  /** Instead of the keys in the options. */
  onAuth?(asked: AuthRequest): AuthVerdict | Promise<AuthVerdict>;
  /** Before an upstream is chosen; the lane waits. */
  onRequest?(asked: RequestAsked): RequestVerdict | Promise<RequestVerdict>;
  /** After the stream; nobody waits for it. */
  onFinish?(finished: Finished): void | Promise<void>;
}

export const hookNames = ['onAuth', 'onRequest', 'onFinish'] as const;
export type HookName = (typeof hookNames)[number];

/** An answer of `onAuth`, checked and plain: it crosses threads. */
export type AuthAnswer =
  | {
      readonly allow: true;
      readonly principal: string;
      readonly rights?: { readonly models?: readonly string[]; readonly tier?: string };
    }
  | { readonly allow: false; readonly status: number; readonly message: string };

/** @throws TypeError for what is no verdict. */
export function readAuthVerdict(value: unknown): AuthAnswer {
  const verdict = group(value, 'onAuth');
  if (verdict['allow'] === false) return refused(verdict);
  if (verdict['allow'] !== true) throw new TypeError('onAuth answers { allow: true or false, … }');
  const { principal, rights } = verdict;
  if (typeof principal !== 'string' || !/^\P{Cc}+$/u.test(principal))
    throw new TypeError('onAuth names a principal, without control characters');
  if (principal.length > PRINCIPAL_CHARS_MAX)
    throw new TypeError(`a principal has at most ${PRINCIPAL_CHARS_MAX} characters`);
  if (rights === undefined) return { allow: true, principal };
  const { models, tier } = group(rights, 'rights of onAuth');
  if (models !== undefined && !isNames(models))
    throw new TypeError('rights.models of onAuth is a list of names');
  if (tier !== undefined && typeof tier !== 'string')
    throw new TypeError('rights.tier of onAuth is a name');
  if (models === undefined && tier === undefined) return { allow: true, principal };
  const read = { ...(models !== undefined && { models }), ...(tier !== undefined && { tier }) };
  return { allow: true, principal, rights: read };
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

function refused({ status, message }: Readonly<Record<string, unknown>>): AuthAnswer {
  const known = Number.isInteger(status) && Number(status) >= 400 && Number(status) <= 599;
  const text = typeof message === 'string' && message !== '' ? message : 'access refused';
  return {
    allow: false,
    status: known ? Number(status) : 401,
    message: text.slice(0, MESSAGE_CHARS_MAX),
  };
}

/** The request to go on with, or the error to fail with. @throws TypeError for what is no verdict. */
export function readRequestVerdict(
  value: unknown,
  asked: ModelRequest,
): ModelRequest | MillraceError {
  const verdict = group(value, 'onRequest');
  if (verdict['kind'] === 'refuse') return refusedRequest(verdict['error']);
  if (verdict['kind'] !== 'go')
    throw new TypeError("onRequest answers { kind: 'go' } or { kind: 'refuse', error }");
  const request = verdict['request'] === undefined ? asked : (verdict['request'] as ModelRequest);
  const model = verdict['model'] ?? request.model;
  if (typeof model !== 'string' || !Array.isArray(request.messages))
    throw new TypeError('the request of onRequest has a model and a list of messages');
  return { ...request, model };
}

function refusedRequest(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const { message } = group(error, 'the error of onRequest');
  const reason = typeof message === 'string' && message !== '' ? message : 'it is not allowed';
  return new MillraceError('MILLRACE_REQUEST_REFUSED', {
    reason: reason.slice(0, MESSAGE_CHARS_MAX),
  });
}

function group(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new TypeError(`${what} is an object`);
}
