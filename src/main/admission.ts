/** A verdict of `accept` and what is known of the connection, as one admission. */
import type { AcceptVerdict } from './accept.ts';
import type { Admission } from './session.ts';

type Admitted = Extract<AcceptVerdict, { kind: 'session' }>;

/** Not by `...rest` of the verdict: what that makes has a hidden class of its own, for every session. */
export function admissionOf(
  { dialect, principal, keyName, rights, byKey, worker }: Admitted,
  connection: Omit<Admission, keyof Admitted> & Pick<Admission, 'protocol'>,
): Admission {
  return {
    dialect,
    principal,
    ...(keyName !== undefined && { keyName }),
    ...(rights && { rights }),
    ...(byKey !== undefined && { byKey }),
    ...(worker !== undefined && { worker }),
    ...connection,
  };
}
