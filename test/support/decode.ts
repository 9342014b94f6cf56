/** Runs a body through a provider: the chat-completion one unless another is named. */
import assert from 'node:assert/strict';
import type { MillraceError } from '../../src/errors.ts';
import { Delta } from '../../src/protocol/events.ts';
import type { Decoder, Provider } from '../../src/protocol/provider.ts';
import { openaiChat } from '../../src/protocol/providers/openai-chat.ts';
import { type Step, TraceSink } from './trace.ts';

export interface Decoded {
  readonly sink: TraceSink;
  readonly decoder: Decoder;
  /** Events that were parsed. */
  readonly parsed: number;
}

/**
 * Pushes the pieces one by one, each in memory of its own that is spoilt afterwards: nothing may still point there. Then closes, unless
 * `open`.
 */
export function decode(
  pieces: readonly Uint8Array[],
  { cause, open = false, eventBytesMax = 1024 * 1024, provider = openaiChat }: Settings = {},
): Decoded {
  const sink = new TraceSink();
  let parsed = 0;
  const decoder = provider.decoder('lab', sink, { eventBytesMax, onFallback: () => parsed++ });
  for (const piece of pieces) {
    // A Buffer, as sockets give them: its `slice` does not copy.
    const read = Buffer.from(piece);
    decoder.push(read);
    read.fill(0x21);
  }
  if (!open) decoder.close(cause);
  return { sink, decoder, parsed };
}

export interface Settings {
  readonly cause?: MillraceError;
  readonly open?: boolean;
  readonly eventBytesMax?: number;
  readonly provider?: Provider;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** One event per value, as a server would frame it. */
export function eventsOf(...values: readonly unknown[]): string {
  return values
    .map((value) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`)
    .join('');
}

/** A chunk with one choice. */
export function chunkOf(delta: object, finish: string | null = null): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_795_426_362,
    model: 'tiny',
    choices: [{ index: 0, delta, finish_reason: finish }],
  };
}

/** A chunk that ends an answer. */
export const stop: object = chunkOf({}, 'stop');

export function text(text: string): Step {
  return { text, kind: Delta.text, part: 0 };
}

export function args(text: string, part = 0): Step {
  return { text, kind: Delta.arguments, part };
}

/** Decodes a body whole, and byte by byte: both must say the same. */
export function run(body: string, cause?: MillraceError): Decoded {
  const settings = { eventBytesMax: 8192, ...(cause === undefined ? {} : { cause }) };
  const whole = decode([bytesOf(body)], settings);
  const pieces = Array.from(bytesOf(body), (byte) => Uint8Array.of(byte));
  assert.deepEqual(decode(pieces, settings).sink.trace, whole.sink.trace);
  return whole;
}
