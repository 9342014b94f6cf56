/** A dialect's session without threads: client objects in, parsed frames out, content by kind and text. */

import { must } from '../../src/must.ts';
import type {
  ClientMessage,
  Command,
  Conversation,
  Dialect,
  DialectBounds,
  Encoder,
  FrameSink,
  IdSeed,
  Opening,
  Turn,
} from '../../src/protocol/dialect.ts';
import type { DeltaKind } from '../../src/protocol/events.ts';
import type { ModelRequest } from '../../src/protocol/request.ts';

export type Json = { [key: string]: unknown };

export interface Frame {
  readonly text: string;
  readonly json: Json;
  readonly flags: number;
  readonly sequence: number;
}

/** Copies at once, as every sink does. */
export class Recorder implements FrameSink {
  readonly frames: Frame[] = [];

  frame(bytes: Uint8Array, length: number, flags: number, sequence: number): void {
    this.frames.push(frameOf(bytes.subarray(0, length), flags, sequence));
  }

  get types(): unknown[] {
    return this.frames.map((frame) => frame.json['type']);
  }

  get last(): Frame {
    const last = this.frames.at(-1);
    must(last, 'a frame came');
    return last;
  }
}

export function frameOf(bytes: Uint8Array, flags = 0, sequence = 0): Frame {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.slice());
  return { text, json: JSON.parse(text) as Json, flags, sequence };
}

export interface Running {
  readonly turn: Turn;
  readonly request: ModelRequest;
  readonly encoder: Encoder;
  readonly out: Recorder;
}

export function seedOf(number: number): IdSeed {
  const nonce = new Uint8Array(16).fill(number & 0xff);
  return { nonce, owner: 1, generation: 2, tag: number };
}

export class Dialogue {
  readonly conversation: Conversation;
  #messages = 0;

  constructor(dialect: Dialect, bounds: Partial<DialectBounds> = {}, models = ['m', 'n']) {
    const all = { historyBytesMax: 1 << 20, outputBytesMax: 1 << 20, lanesMax: 32, ...bounds };
    this.conversation = dialect.conversation(all, {
      has: (model) => models.includes(model),
      names: models,
    });
  }

  message(value: unknown): ClientMessage {
    const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
    return { bytes, binary: false, seed: seedOf(++this.#messages), arrivedMs: 1_700_000_000_123 };
  }

  /** Text as it is, objects as JSON. */
  say(value: unknown): Command {
    return this.conversation.decode(this.message(value));
  }

  turn(value: unknown): Turn {
    const command = this.say(value);
    if (command.kind === 'turn') return command.turn;
    const frames = 'frames' in command ? command.frames.map((frame) => frameOf(frame).text) : [];
    throw new Error(`not a turn: ${command.kind} ${frames.join()}`);
  }

  begin(value: unknown): { opening: Opening; out: Recorder; turn: Turn } {
    const turn = this.turn(value);
    const out = new Recorder();
    return { opening: this.conversation.begin(turn, out), out, turn };
  }

  run(value: unknown): Running {
    const { opening, out, turn } = this.begin(value);
    if (opening.kind === 'run') return { ...opening, out, turn };
    if (opening.kind === 'handle') throw new Error('a route handles it');
    throw new Error(opening.frames.map((frame) => frameOf(frame).text).join());
  }

  /** The frames of an answer that needed no upstream. */
  answer(value: unknown): Json[] {
    const { opening } = this.begin(value);
    if (opening.kind === 'answer') return opening.frames.map((frame) => frameOf(frame).json);
    throw new Error('it runs');
  }

  /** The error frame of a refused message. */
  refusal(value: unknown): Json {
    const command = this.say(value);
    if (command.kind === 'turn') return this.answer(value).at(-1) ?? {};
    return frameOf(command.kind === 'cancel' ? command.unmatched : command.frames[0]).json;
  }
}

/** A delta from the middle of a larger read, as decoders hand them over; `text` is not yet escaped. */
export function delta(encoder: Encoder, kind: DeltaKind, text: string, part = 0): void {
  const escaped = JSON.stringify(text).slice(1, -1);
  const read = Buffer.from(`before${escaped}behind`);
  const start = 6;
  const end = start + Buffer.byteLength(escaped);
  encoder.delta(kind, part, read, start, end);
  read.fill(0x3f);
}
