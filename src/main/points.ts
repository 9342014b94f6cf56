/** Main's trace points: what it tells the channels of its stages when somebody listens. */
import type { Code } from '../errors.ts';
import type { RecordHeader } from '../memory/contract.ts';
import { Flag } from '../memory/layout.ts';
import { channels } from '../observe/channels.ts';
import type { Session } from './session.ts';

const { accept, admit, deliver } = channels;

/** An upgrade was answered; with a code, refused. */
export function tellAccept(dialect: string, principal: string, address: string, code?: Code): void {
  if (!accept.hasSubscribers) return;
  const point = { step: 'upgrade', session: -1, stream: 0, dialect, principal, address };
  accept.publish(code === undefined ? point : { ...point, code });
}

/** A message became a request, and is about to be written into its worker's ring. */
export function tellAdmit(session: number, stream: number, bytes: number, worker: number): void {
  if (admit.hasSubscribers) admit.publish({ step: 'message', session, stream, bytes, worker });
}

/** A frame came out of a worker's ring. */
export function tellTaken(header: RecordHeader, bytes: number): void {
  if (!deliver.hasSubscribers) return;
  const { slot, stream, sequence, flags } = header;
  const commit = (flags & Flag.commit) !== 0;
  const terminal = (flags & Flag.terminal) !== 0;
  deliver.publish({ step: 'taken', session: slot, stream, sequence, bytes, commit, terminal });
}

/** What a batch held for a session was given to its socket. */
export function tellSent({ slot, connection }: Session): void {
  if (!deliver.hasSubscribers) return;
  const buffered = connection.buffered();
  deliver.publish({ step: 'sent', session: slot, stream: 0, buffered });
}
