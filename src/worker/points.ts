/** A worker's trace points: what it tells the channels of its stages when somebody listens on its thread. */
import type { Code } from '../errors.ts';
import { Flag } from '../memory/layout.ts';
import { channels } from '../observe/channels.ts';
import type { Address } from './outbox.ts';
import type { Upstream } from './route.ts';

const { route, stream, chunk, compress } = channels;

const of = ({ slot, stream: number }: Address) => ({ session: slot, stream: number });

/** A client's message came out of the up ring. */
export function tellReceived(session: number, number: number, bytes: number, worker: number): void {
  if (!route.hasSubscribers) return;
  route.publish({ step: 'received', session, stream: number, bytes, worker });
}

/** An attempt, counted from 1, goes to this upstream. */
export function tellPicked(address: Address, upstream: string, attempt: number): void {
  if (route.hasSubscribers) route.publish({ step: 'picked', ...of(address), upstream, attempt });
}

/** `status`: of a head; 0 otherwise. */
export function tellStep(
  step: 'connect' | 'sent' | 'head',
  address: Address,
  { options }: Upstream,
  status: number,
): void {
  if (!stream.hasSubscribers) return;
  const point = { step, ...of(address), upstream: options.name };
  stream.publish(step === 'head' ? { ...point, status } : point);
}

/** A read of the upstream's body is about to be decoded. */
export function tellRead(address: Address, { options }: Upstream, bytes: number): void {
  if (!stream.hasSubscribers) return;
  stream.publish({ step: 'data', ...of(address), upstream: options.name, bytes });
}

export function tellFailed(address: Address, upstream: string, code: Code): void {
  if (stream.hasSubscribers) stream.publish({ step: 'failed', ...of(address), upstream, code });
}

/** A frame became so many bytes by the encoding that its client asked for. */
export function tellPacked(
  address: Address,
  sequence: number,
  bytes: number,
  packedBytes: number,
): void {
  if (!compress.hasSubscribers) return;
  compress.publish({ step: 'packed', ...of(address), sequence, bytes, packedBytes });
}

/** A frame goes to the down ring, or waits for credit. */
export function tellFrame(address: Address, sequence: number, bytes: number, flags: number): void {
  if (!chunk.hasSubscribers) return;
  const commit = (flags & Flag.commit) !== 0;
  const terminal = (flags & Flag.terminal) !== 0;
  chunk.publish({ step: 'frame', ...of(address), sequence, bytes, commit, terminal });
}
