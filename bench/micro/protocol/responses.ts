/**
 * node dist/bench/micro/protocol/responses.js: nanoseconds for one text delta through the dialects' encoders, beside the plain
 * way (an object through JSON.stringify into bytes), and how far the heap grew for each. One sink copies the frame into a
 * ring-like buffer, as the real one does. Rounds interleave; the median counts. No forced collections: they throw compiled code away.
 */

import type { Encoder, FrameSink } from '../../../src/protocol/dialect.ts';
import { dialects } from '../../../src/protocol/dialects/dialects.ts';
import { Delta } from '../../../src/protocol/events.ts';

const DELTAS = 20_000;
const TURNS = 1_000;
const ROUNDS = 25;

const pieces = [
  ' the',
  ' quick',
  ' br',
  'own',
  ' fox',
  ' jumps',
  ' over',
  '\\n',
  ' Grüße',
  ' lazily,',
];
const read = Buffer.from(pieces.map((piece) => `data: {"content":"${piece}"}`).join('\n'));
const ranges = pieces.map((piece) => {
  const start = read.indexOf(`"${piece}"`) + 1;
  return { start, end: start + Buffer.byteLength(piece) };
});

class Sink implements FrameSink {
  readonly #ring = new Uint8Array(1 << 20);
  #at = 0;

  frame(bytes: Uint8Array, length: number): void {
    if (this.#at + length > this.#ring.length) this.#at = 0;
    this.#ring.set(bytes.subarray(0, length), this.#at);
    this.#at += length;
  }
}

/** Counts frames and copies nothing: what is left is the encoder. */
class Nowhere implements FrameSink {
  bytes = 0;

  frame(_bytes: Uint8Array, length: number): void {
    this.bytes += length;
  }
}

function open(name: 'responses' | 'chat', out: FrameSink): Encoder {
  const conversation = dialects[name].conversation(
    { historyBytesMax: 0, outputBytesMax: 1 << 30, lanesMax: 32 },
    { has: () => true, names: ['m'] },
  );
  const seed = { nonce: new Uint8Array(16), owner: 1, generation: 1, tag: 1 };
  const ask =
    name === 'chat' ? { message: 'x' } : { type: 'response.create', model: 'm', input: 'x' };
  const bytes = Buffer.from(JSON.stringify(ask));
  const command = conversation.decode({ bytes, binary: false, seed, arrivedMs: 0 });
  if (command.kind !== 'turn') throw new Error(command.kind);
  const opening = conversation.begin(command.turn, out);
  if (opening.kind !== 'run') throw new Error(opening.kind);
  return opening.encoder;
}

function encodeAll(name: 'responses' | 'chat', out: FrameSink): () => void {
  const encoder = open(name, out);
  return () => {
    for (let count = 0; count < DELTAS; count++) {
      const { start, end } = ranges[count % ranges.length];
      encoder.delta(Delta.text, 0, read, start, end);
    }
  };
}

/** Whole turns of one delta each, from the client's bytes to the terminal event: what is not per delta. */
function turns(name: 'responses' | 'chat', out: FrameSink): () => void {
  return () => {
    for (let count = 0; count < TURNS; count++) {
      const encoder = open(name, out);
      encoder.delta(Delta.text, 0, read, ranges[0].start, ranges[0].end);
      encoder.finish('stop');
    }
  };
}

function plainly(out: FrameSink): () => void {
  let sequence_number = 0;
  let text = '';
  return () => {
    for (let count = 0; count < DELTAS; count++) {
      const { start, end } = ranges[count % ranges.length];
      const delta = JSON.parse(`"${read.toString('utf8', start, end)}"`) as string;
      text += delta;
      const event = {
        type: 'response.output_text.delta',
        sequence_number: sequence_number++,
        item_id: 'msg_0',
        output_index: 0,
        content_index: 0,
        logprobs: [],
        delta,
      };
      const bytes = Buffer.from(JSON.stringify(event));
      out.frame(bytes, bytes.length, 0, sequence_number);
    }
    if (text === '') throw new Error('nothing was encoded');
  };
}

const variants: readonly (readonly [name: string, count: number, make: () => () => void])[] = [
  ['delta of responses, encoder alone', DELTAS, () => encodeAll('responses', new Nowhere())],
  ['delta of responses, with the copy', DELTAS, () => encodeAll('responses', new Sink())],
  ['delta of chat, encoder alone', DELTAS, () => encodeAll('chat', new Nowhere())],
  ['delta the plain way, encoder alone', DELTAS, () => plainly(new Nowhere())],
  ['whole turn of responses', TURNS, () => turns('responses', new Nowhere())],
  ['whole turn of chat', TURNS, () => turns('chat', new Nowhere())],
];

const found = variants.map(() => ({ ns: [] as number[], bytes: [] as number[] }));
for (let round = 0; round < ROUNDS; round++) {
  variants.forEach(([, count, make], index) => {
    const run = make();
    const heapBefore = process.memoryUsage().heapUsed;
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    const grown = process.memoryUsage().heapUsed - heapBefore;
    found[index].ns.push(((user + system) * 1000) / count);
    found[index].bytes.push(grown / count);
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

variants.forEach(([name], index) => {
  const { ns, bytes } = found[index];
  const [time, heap] = [median(ns).toFixed(0), median(bytes).toFixed(1)];
  process.stdout.write(`${name}: ${time} ns CPU, ${heap} heap bytes\n`);
});
