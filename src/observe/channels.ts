/**
 * What happens, as it happens, for whoever subscribes through node:diagnostics_channel: one channel for each stage, and one for each
 * kind of end. A channel is its thread's own: main has accept, admit, deliver and the ends; workers have the rest, and code gets there
 * with `--import`. Without subscribers a point costs one look at a property.
 */
import { type Channel, channel } from 'node:diagnostics_channel';
import { type Stage, stages } from '../stages.ts';
import type { Fact } from '../threads/facts.ts';

/** Where in the life of a request something happened. */
export interface Point {
  readonly step: string;
  /** Slot of the session and number of its message: together they name one stream of the engine. */
  readonly session: number;
  readonly stream: number;
  readonly [detail: string]: unknown;
}

const names = [...stages.map(({ name }) => name), 'stream:end', 'session:end'] as const;
type ChannelName = Stage | 'stream:end' | 'session:end';

export const channels = Object.fromEntries(
  names.map((name) => [name, channel(`millrace:${name}`)]),
) as unknown as Readonly<Record<ChannelName, Channel<unknown, Point>>>;

const { 'stream:end': streamEnd, 'session:end': sessionEnd } = channels;

/** The ends, on main: with everything that their log lines have. */
export function tellEnd(fact: Fact): void {
  if (fact.fact === 'stream-ended' && streamEnd.hasSubscribers) {
    streamEnd.publish({ step: 'end', ...fact });
  }
  if (fact.fact === 'session-ended' && sessionEnd.hasSubscribers) {
    sessionEnd.publish({ step: 'end', stream: 0, ...fact });
  }
}
