/** Fills the silences of an answer, for connections that a proxy would close. */
import type { Encoder } from '../protocol/dialect.ts';
import type { Alarm } from './alarms.ts';
import type { Means } from './means.ts';
import type { Tap } from './tap.ts';

/** Says something whenever nothing was said for so long, and the client reads. */
export function keepAlive(
  { alarms, clock, options }: Pick<Means, 'alarms' | 'clock' | 'options'>,
  encoder: Encoder,
  tap: Tap,
): Alarm {
  let said = tap.frames;
  const alarm = alarms.create(() => {
    if (tap.frames === said && tap.drained) {
      encoder.alive?.();
      tap.release();
    }
    said = tap.frames;
    alarm.set(clock.now() + options.stream.keepAliveMs);
  });
  alarm.set(clock.now() + options.stream.keepAliveMs);
  return alarm;
}
