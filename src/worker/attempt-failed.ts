/** An attempt failed: said to the trace, the counts and the log. */
import type { MillraceError } from '../errors.ts';
import type { Means } from './means.ts';
import type { Address } from './outbox.ts';
import { tellFailed } from './points.ts';
import type { Upstream } from './route.ts';

export function attemptFailed(
  means: Means,
  address: Address,
  responseId: string,
  { index, options: { name: upstream } }: Upstream,
  error: MillraceError,
): void {
  tellFailed(address, upstream, error.code);
  means.tally.attemptFailed(index);
  means.tally.error(error.code);
  const { stream } = address;
  means.publish({ fact: 'attempt-failed', stream, responseId, upstream, error: error.toWire() });
}
