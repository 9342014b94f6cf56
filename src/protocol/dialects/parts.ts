/**
 * The dialect between a route given as a function, which runs on main, and the workers: a StreamRequest asks, each frame is one StreamPart
 * as JSON, a failure is `{"type":"error","error":{…}}` in wire form. Never spoken outside this process.
 */
import type { MillraceError, WireError } from '../../errors.ts';
import {
  type Conversation,
  type Dialect,
  type Encoder,
  FrameFlag,
  type FrameSink,
  type ModelList,
} from '../dialect.ts';
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../events.ts';
import { formatId } from '../ids.ts';
import { toModelRequest } from '../model-request.ts';
import type { ModelRequest } from '../request.ts';
import type { StreamPart } from '../route.ts';
import { DeltaFrame } from './delta-frame.ts';
import { readMessage } from './read-message.ts';

/** What a frame says. */
export type PartFrame = StreamPart | { readonly type: 'error'; readonly error: WireError };

export const parts: Dialect = {
  name: 'parts',
  binary: false,
  conversation: (_bounds, models) => conversationOf(models),
  complain: (error) => errorFrame(error),
};

function conversationOf(models: ModelList): Conversation {
  return {
    heldBytes: 0,
    decode(message) {
      readMessage(message);
      const asked: unknown = message.parsed ?? JSON.parse(Buffer.from(message.bytes).toString());
      const detail = toModelRequest(asked, models);
      const responseId = formatId('route_', message.seed);
      return { kind: 'turn', turn: { lane: '', model: detail.model, responseId, detail } };
    },
    begin: (turn, out) => ({
      kind: 'run',
      request: turn.detail as ModelRequest,
      encoder: new PartsEncoder(out),
    }),
    refuse: (_turn, error) => errorFrame(error),
  };
}

function errorFrame(error: MillraceError): Uint8Array {
  return Buffer.from(JSON.stringify({ type: 'error', error: error.toWire() }));
}

const words = ['text', 'reasoning', 'refusal', 'arguments'] as const;
const tail = Buffer.from('"}');

class PartsEncoder implements Encoder {
  readonly #out: FrameSink;
  #upstream = '';
  #sequence = 0;
  #ended = false;
  #frame: DeltaFrame | undefined;
  #kind: DeltaKind = Delta.text;
  #part = 0;

  constructor(out: FrameSink) {
    this.#out = out;
  }

  get sequence(): number {
    return this.#sequence;
  }
  get committed(): boolean {
    return this.#sequence > 0;
  }
  from(upstream: string): void {
    this.#upstream = upstream;
  }

  delta(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#ended) return;
    if (!this.#frame || kind !== this.#kind || part !== this.#part) {
      const index = kind === Delta.arguments ? `,"index":${part}` : '';
      this.#frame = new DeltaFrame(`{"type":"${words[kind]}"${index},"text":"`, undefined, tail);
      this.#kind = kind;
      this.#part = part;
    }
    const length = this.#frame.fill(0, bytes, start, end);
    this.#send(this.#frame.bytes, length, 0);
  }
  tool(index: number, id: string, name: string): void {
    this.#say({ type: 'tool', index, id, name }, 0);
  }
  usage(usage: Usage): void {
    this.#say({ type: 'usage', ...usage }, 0);
  }
  flush(): void {}
  finish(reason: FinishReason): void {
    this.#say({ type: 'finish', reason, upstream: this.#upstream }, FrameFlag.terminal);
  }
  fail(error: MillraceError): void {
    this.#say({ type: 'error', error: error.toWire() }, FrameFlag.terminal);
  }
  cancel(): void {
    this.#say({ type: 'finish', reason: 'stop', upstream: this.#upstream }, FrameFlag.terminal);
  }
  epitaph(error: MillraceError): { bytes: Uint8Array; at: number } {
    return { bytes: errorFrame(error), at: -1 };
  }

  #say(frame: PartFrame, flags: number): void {
    if (this.#ended) return;
    this.#ended = flags !== 0;
    const bytes = Buffer.from(JSON.stringify(frame));
    this.#send(bytes, bytes.length, flags);
  }

  #send(bytes: Uint8Array, length: number, flags: number): void {
    const commit = this.#sequence === 0 && flags === 0 ? FrameFlag.commit : 0;
    this.#out.frame(bytes, length, flags | commit, this.#sequence++);
  }
}
