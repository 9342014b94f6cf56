/**
 * An answer as steps on the wire: what to send, how long to wait before it, where to break it off. Lazy and pure; play.ts performs it.
 */
import { type Answer, Purpose } from './answer.ts';
import { Draw } from './draw.ts';
import type { Faults } from './faults.ts';
import { type Framing, framingOf } from './framing.ts';
import type { Speaker, Voice, VoiceOptions, WireEvents } from './voices/voice.ts';

/** `end`: complete. `short`: the body ends in good order, too early. `cut`: FIN in the middle. `reset`: RST. `hang`: nothing, for ever. */
export type Finale = 'end' | 'short' | 'cut' | 'reset' | 'hang';

export interface Step {
  readonly waitMs: number;
  readonly bytes: string | Uint8Array;
  /** Content deltas in `bytes`: 0 or 1. */
  readonly tokens: number;
  /** What happens after `bytes`; the last step has it. */
  readonly finale?: Finale;
}

export interface ScriptOptions extends VoiceOptions {
  readonly seed: number;
  readonly number: number;
  readonly tokensPerSecond: number;
  readonly firstTokenMs: number;
  /** Deviation of the logarithm of waiting times; 0 makes them exact. */
  readonly jitter: number;
}

const OVERSIZE_BYTES = 2 * 1024 * 1024;

/** The steps of a streamed answer. */
export function* streamSteps(
  voice: Voice,
  answer: Answer,
  options: ScriptOptions,
  faults: Faults,
): Generator<Step> {
  const saying = {
    speaker: voice.speak(answer, options, faults),
    framing: framingOf(voice, faults),
  };
  const { speaker, framing } = saying;
  const clock = pace(options, faults);
  yield step(framing.preamble);
  yield step(wire(speaker.opening(), framing));
  if (faults['stall-first'] !== undefined) yield pauseFor(faults['stall-first']);
  let sent = 0;
  for (const events of speaker.tokens()) {
    const broken = breakAt(sent, saying, faults);
    if (broken) {
      yield* broken;
      if (broken.at(-1)?.finale) return;
    }
    yield { waitMs: clock.wait(), bytes: wire(events, framing), tokens: 1 };
    sent += 1;
  }
  const broken = breakAt(sent, saying, faults);
  if (broken) {
    yield* broken;
    if (broken.at(-1)?.finale) return;
  }
  yield* ending(saying, faults);
}

interface Saying {
  readonly speaker: Speaker;
  readonly framing: Framing;
}

function wire(events: WireEvents, framing: Framing): string {
  return events.map((event) => framing.event(event)).join('');
}

/** How long the whole answer takes at the configured pace: what a request that does not stream waits for. */
export function wholeAnswerMs(answer: Answer, options: ScriptOptions, faults: Faults): number {
  const clock = pace(options, faults);
  let totalMs = 0;
  for (let token = 0; token < answer.completionTokens; token += 1) totalMs += clock.wait();
  return totalMs;
}

/** What the faults want after `sent` tokens; the last step has a finale if the answer ends there. */
function breakAt(sent: number, { speaker, framing }: Saying, faults: Faults): Step[] | undefined {
  if (sent === faults['reset-after']) return [step('', 'reset')];
  if (sent === faults['cut-after']) return [step('', 'cut')];
  if (sent === faults['end-after']) return [step('', 'short')];
  if (sent === faults['stall-after']) return [pauseFor(faults['stall-ms'] ?? 0)];
  if (sent === faults['malformed-after']) return [step(framing.broken)];
  if (sent === faults['oversize-after'])
    return [step(wire(speaker.text(`"${'x'.repeat(OVERSIZE_BYTES)}"`), framing))];
  if (sent === faults['bad-utf8-after'])
    return [{ waitMs: 0, bytes: notUtf8(wire(speaker.text('"\u0001"'), framing)), tokens: 0 }];
  if (sent === faults['error-after']) {
    const code = faults['error-code'] ?? 'server_error';
    const message = `[simulated] an error in the stream, as asked for (${code})`;
    return [step(wire(speaker.failure(code, message), framing) + framing.done, 'short')];
  }
  return undefined;
}

/** Finish reason, usage, end marker. */
function* ending({ speaker, framing }: Saying, faults: Faults): Generator<Step> {
  if (!faults['no-finish']) yield step(wire(speaker.finish(), framing));
  if (faults['finish-late'] !== undefined) yield pauseFor(faults['finish-late']);
  if (!faults['no-finish'] || framing.done !== '') yield step(wire(speaker.after(), framing));
  if (!faults['no-done']) yield step(framing.done);
  if (faults['after-done']) yield step(wire(speaker.text('"after the end"'), framing));
  yield step('', 'end');
}

/** Replaces the placeholder byte by a lone continuation byte. */
function notUtf8(event: string): Uint8Array {
  const bytes = Buffer.from(event.replace('\\u0001', '\u0001'));
  bytes[bytes.indexOf(1)] = 0x80;
  return bytes;
}

/** Waiting times: the first token's, then one between any two. */
function pace(options: ScriptOptions, faults: Faults): { wait(): number } {
  const draw = new Draw(options.seed, options.number, Purpose.timing);
  const gapMs = 1000 / (faults.rate ?? options.tokensPerSecond);
  let first = true;
  return {
    wait() {
      if (!first) return gapMs === 0 ? 0 : draw.around(gapMs, options.jitter);
      first = false;
      return draw.around(faults['first-token-ms'] ?? options.firstTokenMs, options.jitter);
    },
  };
}

function step(bytes: string, finale?: Finale): Step {
  return { waitMs: 0, bytes, tokens: 0, ...(finale && { finale }) };
}

/** Silence of `ms`; 0 is for ever. */
function pauseFor(ms: number): Step {
  return ms === 0 ? step('', 'hang') : { waitMs: ms, bytes: '', tokens: 0 };
}
