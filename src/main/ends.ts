/** What main tells of an end: a session's, and a stream's whose worker was lost with it. */
import type { Code } from '../errors.ts';
import type { Fact } from '../threads/facts.ts';
import type { Request } from './requests.ts';
import type { Session } from './session.ts';

/** Who ended a session, with which close code, and for which reason of ours. */
export interface SessionEnd {
  readonly by: 'client' | 'server';
  readonly closeCode: number;
  readonly code?: Code | undefined;
}

export function sessionEnded(
  { slot, generation, admission, asked, bytesIn, bytesOut, openedMs }: Session,
  { by, closeCode, code }: SessionEnd,
  nowMs: number,
): Fact {
  const { principal, keyName, dialect, address } = admission;
  return {
    fact: 'session-ended',
    session: slot,
    generation,
    principal,
    ...(keyName !== undefined && { keyName }),
    dialect,
    address,
    by,
    closeCode,
    ...(code && { code }),
    requests: asked,
    bytesIn,
    bytesOut,
    durationMs: nowMs - openedMs,
  };
}

export function streamLost(request: Request, code: Code, nowMs: number): Fact {
  const { session, number, delivered, arrivedMs } = request;
  return {
    fact: 'stream-lost',
    session: session.slot,
    generation: session.generation,
    stream: number,
    principal: session.principal,
    dialect: session.admission.dialect,
    frames: delivered,
    durationMs: nowMs - arrivedMs,
    code,
  };
}
