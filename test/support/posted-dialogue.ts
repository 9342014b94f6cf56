/** An HTTP dialect without threads: a body in, the answer's head and frames out. */
import { type AnswerHead, decodeHead } from '../../src/protocol/answer-head.ts';
import type {
  Command,
  Dialect,
  DialectBounds,
  Encoder,
  FrameSink,
} from '../../src/protocol/dialect.ts';
import type { ModelRequest } from '../../src/protocol/request.ts';
import { type Json, seedOf } from './dialogue.ts';

export interface Piece {
  readonly text: string;
  readonly flags: number;
  readonly sequence: number;
}

/** The first bytes of an answer begin with its head. */
export class Answered implements FrameSink {
  head: AnswerHead | undefined;
  readonly pieces: Piece[] = [];

  frame(bytes: Uint8Array, length: number, flags: number, sequence: number): void {
    const copy = Buffer.from(bytes.subarray(0, length));
    let body: Buffer = copy;
    if (this.head === undefined) ({ head: this.head, body } = decodeHead(copy));
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    this.pieces.push({ text, flags, sequence });
  }

  get text(): string {
    return this.pieces.map(({ text }) => text).join('');
  }
  get json(): Json {
    return JSON.parse(this.text) as Json;
  }
  /** What stands behind `data: `, in order. */
  get data(): string[] {
    return [...this.text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data);
  }
  get chunks(): Json[] {
    return this.data.filter((data) => data !== '[DONE]').map((data) => JSON.parse(data) as Json);
  }
}

const bounds: DialectBounds = { historyBytesMax: 0, outputBytesMax: 1 << 20, lanesMax: 1 };

export interface RunningAnswer {
  readonly request: ModelRequest;
  readonly encoder: Encoder;
  readonly out: Answered;
  readonly id: string;
}

export function decode(dialect: Dialect, body: unknown): Command {
  const models = { has: (model: string) => model === 'm', names: ['m'] };
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const message = { bytes, binary: false, seed: seedOf(7), arrivedMs: 1_700_000_000_123 };
  return dialect.conversation(bounds, models).decode(message);
}

export function run(
  dialect: Dialect,
  body: object,
  more: Partial<DialectBounds> = {},
): RunningAnswer {
  const out = new Answered();
  return { ...begin(dialect, body, out, more), out };
}

/** The answer goes to any sink. */
export function begin(
  dialect: Dialect,
  body: object,
  out: FrameSink,
  more: Partial<DialectBounds> = {},
): Omit<RunningAnswer, 'out'> {
  const models = { has: (model: string) => model === 'm', names: ['m'] };
  const conversation = dialect.conversation({ ...bounds, ...more }, models);
  const bytes = Buffer.from(JSON.stringify({ model: 'm', ...body }));
  const message = { bytes, binary: false, seed: seedOf(7), arrivedMs: 1_700_000_000_123 };
  const command = conversation.decode(message);
  if (command.kind !== 'turn') throw new Error(`not a turn: ${command.kind}`);
  const opening = conversation.begin(command.turn, out);
  if (opening.kind !== 'run') throw new Error('it was answered at once');
  return { ...opening, id: command.turn.responseId };
}

/** Status and error of a body that is refused. */
export function refusal(dialect: Dialect, body: unknown): { head: AnswerHead; error: Json } {
  const command = decode(dialect, body);
  if (command.kind !== 'reply') throw new Error(`not refused: ${command.kind}`);
  const out = new Answered();
  const [frame] = command.frames;
  out.frame(Buffer.from(frame), frame.length, 0, 0);
  return { head: out.head as AnswerHead, error: out.json['error'] as Json };
}
