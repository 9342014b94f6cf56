/**
 * Finding the deltas of chat-completion chunks, as ranges of the bytes that came: the WebAssembly kernel (the read in its memory, and copied in
 * first), its twin in TypeScript, and eventsource-parser with JSON.parse, in the same rounds.
 */
import { createParser } from 'eventsource-parser';
import { must } from '../../../src/must.ts';
import { ChunkScanner, viewOf } from '../../../src/protocol/scan.ts';
import { type Framing, scanKernel } from '../../../src/protocol/scan-kernel.ts';
import type { Bench, Outcome, Settings } from '../../support/bench.ts';
import { ratios } from '../../support/statistics.ts';

const GROUPS = 300;
const WORDS = [
  'the',
  ' river',
  ' carries',
  ' small',
  ' stones',
  ',',
  ' and',
  ' a',
  ' "wheel"',
  '🌊',
];
const framing: Framing = { lines: false, eventLine: new Uint8Array(0), eventBytesMax: 1 << 20 };
const PREFIX = 'data: '.length;

export const scanKernelBench: Bench = {
  name: 'scan-kernel',
  title: 'Finding the deltas of chat-completion chunks, CPU per event',
  run: (settings) => Promise.resolve(measure(settings)),
};

function event(n: number): Uint8Array {
  const chunk = {
    id: 'chatcmpl-SZDBEedJrEb0TnoXrKT0R0u29p55mKHs',
    object: 'chat.completion.chunk',
    created: 1_795_426_362 + Math.floor(n / 60),
    model: 'gpt-4o-mini-2024-07-18',
    service_tier: 'default',
    system_fingerprint: 'fp_560af6e559',
    choices: [
      {
        index: 0,
        delta: { content: WORDS[n % WORDS.length] },
        logprobs: null,
        finish_reason: null,
      },
    ],
  };
  return Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`);
}

/** Each returns how many deltas it found. */
type Way = (reads: readonly Uint8Array[]) => number;

function waysOf(): Readonly<Record<string, Way>> {
  const kernel = scanKernel();
  must(kernel, 'there is WebAssembly with SIMD here');
  const scanner = new ChunkScanner([{ name: 'created', kind: 'digits' }]);
  const learnt = event(0);
  const path = ['choices', 0, 'delta', 'content'] as const;
  scanner.learn(learnt, PREFIX, learnt.length - 2, { kind: 0, part: 0, path });
  const shape = scanner.first();
  must(shape, 'the shape was learnt');
  return {
    'eventsource-parser + JSON.parse': usual,
    TypeScript: (reads) => twin(scanner, reads),
    'WebAssembly, copied in': (reads) =>
      reads.reduce((found, read) => found + kernel.scan(shape, read, 0, framing), 0),
    // A socket would have read into it: the same bytes every time.
    'WebAssembly, in place': (reads) => {
      kernel.readArea.set(reads[0]);
      let found = 0;
      for (const { length } of reads) {
        if (length !== reads[0].length) continue;
        found += kernel.scan(shape, kernel.readArea.subarray(0, length), 0, framing);
      }
      return found;
    },
  };
}

function twin(scanner: ChunkScanner, reads: readonly Uint8Array[]): number {
  let found = 0;
  for (const read of reads) {
    const view = viewOf(read);
    for (let pos = 0; pos < read.length; found++) {
      const after = scanner.match(read, view, pos + PREFIX, read.length);
      if (after < 0) break;
      pos = after + 2;
    }
  }
  return found;
}

function usual(reads: readonly Uint8Array[]): number {
  let found = 0;
  const text = new TextDecoder();
  const parser = createParser({
    onEvent({ data }) {
      const chunk = JSON.parse(data) as { choices: { delta: { content?: string } }[] };
      if (chunk.choices[0]?.delta.content !== undefined) found++;
    },
  });
  for (const read of reads) parser.feed(text.decode(read, { stream: true }));
  return found;
}

function measure(settings: Settings): Outcome {
  const readings: Outcome['readings'][number][] = [];
  const goals: Outcome['goals'][number][] = [];
  const ways = waysOf();
  for (const [what, perRead] of [
    ['16 KiB reads', 60],
    ['one event per read', 1],
  ] as const) {
    const reads = Array.from({ length: (GROUPS * 60) / perRead }, (_, group) =>
      Buffer.concat(Array.from({ length: perRead }, (_, n) => event(group * perRead + n))),
    );
    must(ways['TypeScript'](reads) === GROUPS * 60, 'the twin finds all');
    must(ways['WebAssembly, copied in'](reads) === GROUPS * 60, 'the kernel finds all');
    const times = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
    for (let round = 0; round < settings.rounds + 2; round++) {
      settings.progress(`${what}, round ${round + 1}`);
      for (const [name, way] of Object.entries(ways)) times.get(name)?.push(nsPerEvent(way, reads));
    }
    const of = (name: string) => (times.get(name) ?? []).slice(2);
    for (const name of times.keys()) {
      readings.push({ what: `${what}: ${name}`, unit: 'ns', values: of(name) });
    }
    const faster = (name: string, peer: string, limit: number) =>
      goals.push({
        what: `${what}: ${name}, speed against ${peer}`,
        sense: 'at least',
        limit,
        values: ratios(of(peer), of(name)),
        unit: 'x',
      });
    const parser = 'eventsource-parser + JSON.parse';
    faster('WebAssembly, copied in', 'TypeScript', 1.2);
    faster('WebAssembly, in place', 'TypeScript', 1.2);
    if (perRead === 1) continue;
    faster('WebAssembly, copied in', parser, 12);
    faster('TypeScript', parser, 3);
  }
  return {
    readings,
    goals,
    notes: ['events of 268 bytes, one in ten with an escape, one in ten with an emoji'],
  };
}

function nsPerEvent(way: Way, reads: readonly Uint8Array[]): number {
  const before = process.cpuUsage();
  let found = 0;
  for (let n = 0; n < 3; n++) found += way(reads);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / found;
}
