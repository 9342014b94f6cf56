/**
 * The user's `onAuth`, asked at every handshake: main keeps the client waiting, a worker answers. It stands in the place of the keys;
 * whoever it does not answer for stays outside.
 */
import { MillraceError, type WireError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Ticker } from '../policy/ports.ts';
import type { AuthAnswer } from '../protocol/hooks.ts';
import type { AuthFacts } from '../threads/messages.ts';
import type { Authenticate } from './accept.ts';
import type { RequestHead } from './backend/backend.ts';
import type { Crew } from './crew.ts';
import { type Identity, keyOf } from './keyring.ts';

/** The worker's own deadline comes first: it knows more to say. */
const GRACE_MS = 100;

export type AuthCrew = Pick<Crew, 'asksAuth' | 'authDesk'>;

/** Undefined where the options name no hooks. */
export function createAuthHook(
  { hooks }: Options,
  crew: AuthCrew,
  ticker: Ticker,
): Authenticate | undefined {
  if (hooks.module === undefined) return undefined;
  return (head, found) => {
    if (!crew.asksAuth) return found;
    const at = crew.authDesk();
    if (!at) return failed();
    if (at.desk.open >= hooks.pendingMax) {
      return new MillraceError('MILLRACE_OVERLOADED', { bound: 'hooks.pendingMax', waitMs: 1_000 });
    }
    const answer = at.desk.ask(factsOf(head));
    return inTime(answer, hooks.timeoutMs + GRACE_MS, ticker).then((said) =>
      identityOf(said, at.worker),
    );
  };
}

const failed = () => new MillraceError('MILLRACE_HOOK_FAILED', { hook: 'onAuth' });

function factsOf(head: RequestHead): AuthFacts {
  const { address, path, query } = head;
  const key = keyOf(head);
  const headers = head.headers?.() ?? {};
  return { headers, query, address, path, ...(key === undefined ? {} : { key }) };
}

function inTime(
  answer: Promise<AuthAnswer | WireError>,
  ms: number,
  ticker: Ticker,
): Promise<AuthAnswer | WireError> {
  let cancel = () => {};
  const late = new Promise<WireError>((resolve) => {
    cancel = ticker.after(ms, () => resolve(failed().toWire()));
  });
  return Promise.race([answer, late]).finally(() => cancel());
}

function identityOf(said: AuthAnswer | WireError, worker: number): Identity | MillraceError {
  if ('code' in said) {
    return said.code === 'MILLRACE_WORKER_LOST' ? failed() : MillraceError.fromWire(said);
  }
  if (!said.allow) {
    const details = { reason: said.message, status: said.status };
    return new MillraceError('MILLRACE_AUTH_REFUSED', details);
  }
  const { principal, rights } = said;
  return { principal, worker, ...(rights === undefined ? {} : { rights }) };
}
