/**
 * Codecs of every source that is here, in the same rounds: from a token to a mebibyte, and a token with a dictionary. Each source
 * writes into the caller's memory, as the engine has it do. Results are checked before anything is timed.
 */
import {
  type CodecName,
  type Coder,
  codecNames,
  type Dictionary,
  levels,
  type SourceName,
} from '../../../src/codec/codec.ts';
import { loadAddon } from '../../../src/codec/native-addon.ts';
import { loadSource, sourceNames } from '../../../src/codec/sources.ts';
import { must } from '../../../src/must.ts';
import type { Bench, Outcome, Settings } from '../../support/bench.ts';
import { messages, tokenEvent, uniform } from '../../support/messages.ts';
import { ratios } from '../../support/statistics.ts';

const SEED = 7;
const sizes = [64, 300, 1_024, 10_240, 102_400, 1_048_576] as const;
/** Bytes that each source works through per measurement. */
const WINDOW_BYTES = 400_000;
const WINDOW_BYTES_QUICK = 20_000;

export const codecs: Bench = {
  name: 'codecs',
  title: 'Codecs by source and size, CPU per message',
  run: (settings) => Promise.resolve(measure(settings)),
};

interface Case {
  readonly what: string;
  readonly codec: CodecName;
  readonly inputs: readonly Uint8Array[];
  readonly dictionary?: Dictionary;
}

interface Measured {
  readonly source: SourceName;
  readonly compress: number[];
  readonly decompress: number[];
  readonly ratio: number;
}

type Readings = Outcome['readings'][number][];
type Goals = Outcome['goals'][number][];

function measure(settings: Settings): Outcome {
  const readings: Readings = [];
  const goals: Goals = [];
  const notes: string[] = [];
  const all = [...sizedCases(), letterCase('gzip'), letterCase('brotli'), letterCase('zstd')];
  for (const each of [...all, ...tokenCases()]) {
    settings.progress(each.what);
    const measured = inRounds(each, settings);
    for (const { source, compress, decompress } of measured) {
      readings.push({ what: `${each.what}, ${source}: compress`, unit: 'µs', values: compress });
      readings.push({
        what: `${each.what}, ${source}: decompress`,
        unit: 'µs',
        values: decompress,
      });
    }
    const shares = measured.map(({ source, ratio }) => `${source} ${ratio.toFixed(2)}`);
    notes.push(`${each.what}: smaller by ${shares.join(', ')}`);
    goals.push(...goalsOf(each, measured));
  }
  return { readings, goals, notes: [...missing(), ...notes] };
}

function sizedCases(): Case[] {
  const next = uniform(SEED);
  return sizes.flatMap((bytes) => {
    const inputs = messages(next, bytes, Math.max(2, Math.min(200, 200_000 / bytes)));
    return codecNames.map((codec) => {
      const size = bytes < 1_024 ? `${bytes} B` : `${bytes / 1_024} KiB`;
      return { what: `${codec} ${levels[codec].normal} of ${size}`, codec, inputs };
    });
  });
}

/** The input that the original of the guide is measured with. */
function letterCase(codec: CodecName): Case {
  const what = `${codec} ${levels[codec].normal} of 10 KiB of one letter`;
  return { what, codec, inputs: [new Uint8Array(10_240).fill(0x61)] };
}

function tokenCases(): Case[] {
  const next = uniform(SEED);
  const events = Array.from({ length: 4_000 }, (_, at) => tokenEvent(next, at));
  const addon = loadAddon();
  const inputs = events.slice(-500);
  const plain = ['gzip', 'zstd'] as const;
  const cases: Case[] = plain.map((codec) => ({ what: `${codec} of a token`, codec, inputs }));
  if (typeof addon === 'string') return cases;
  // Held out: the last 500 are not trained on.
  const trained = events.slice(0, -500);
  const output = new Uint8Array(4_096);
  const lengths = Uint32Array.from(trained, ({ byteLength }) => byteLength);
  const length = addon.trainDictionary(Buffer.concat(trained), lengths, output, 3, 1);
  must(length > 0, `training answered ${length}`);
  const dictionary = { hash: 'of the bench', bytes: output.slice(0, length) };
  return [...cases, { what: 'zstd of a token, dictionary', codec: 'zstd', inputs, dictionary }];
}

function missing(): string[] {
  return sourceNames.flatMap((name) => {
    const { reason } = loadSource(name);
    return reason === undefined ? [] : [`not measured, ${name}: ${reason}`];
  });
}

function inRounds(each: Case, settings: Settings): Measured[] {
  const { codec, inputs, dictionary } = each;
  const window = settings.quick ? WINDOW_BYTES_QUICK : WINDOW_BYTES;
  const passes = Math.max(1, Math.round(window / (inputs.length * inputs[0].byteLength)));
  const measured = sourceNames.flatMap((source) => {
    const coder = loadSource(source).source?.coders[codec];
    if (!coder || (dictionary && !coder.claims.dictionary)) return [];
    const runs = runsOf(coder, each);
    for (let warm = 0; warm < 3; warm++) {
      runs.compress();
      runs.decompress();
    }
    return [
      { source, runs, ratio: runs.ratio, compress: [] as number[], decompress: [] as number[] },
    ];
  });
  for (let round = 0; round < settings.rounds; round++) {
    for (const { runs, compress, decompress } of measured) {
      compress.push(microseconds(runs.compress, passes) / inputs.length);
      decompress.push(microseconds(runs.decompress, passes) / inputs.length);
    }
  }
  return measured;
}

function runsOf(coder: Coder, { codec, inputs, dictionary, what }: Case) {
  const level = levels[codec].normal;
  const longest = Math.max(...inputs.map(({ byteLength }) => byteLength));
  const output = new Uint8Array(longest * 2 + 1_024);
  const back = new Uint8Array(longest);
  const packed = inputs.map((input) => coder.compress(input, level, dictionary));
  for (const [at, input] of inputs.entries()) {
    const length = coder.decompressInto(packed[at], back, dictionary);
    must(Buffer.compare(back.subarray(0, length), input) === 0, `${what}: came back otherwise`);
  }
  const sum = (list: readonly Uint8Array[]) =>
    list.reduce((all, { byteLength }) => all + byteLength, 0);
  return {
    ratio: sum(inputs) / sum(packed),
    compress: () => {
      for (const input of inputs) coder.compressInto(input, output, level, dictionary);
    },
    decompress: () => {
      for (const bytes of packed) coder.decompressInto(bytes, back, dictionary);
    },
  };
}

function microseconds(run: () => void, passes: number): number {
  const before = process.cpuUsage();
  for (let pass = 0; pass < passes; pass++) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / passes;
}

/**
 * What the guide's original needs for 10 KiB of one letter, as a multiple of a peer that was measured beside it (its table stands in this
 * document): so a busy machine, which slows both, is no verdict. Compress, decompress; brotli's peer was measured in one direction.
 */
const original: readonly {
  readonly codec: CodecName;
  readonly peer: SourceName;
  readonly way: 'compress' | 'decompress';
  readonly multiple: number;
}[] = [
  { codec: 'gzip', peer: 'node-zlib', way: 'compress', multiple: 24 / 34.5 },
  { codec: 'gzip', peer: 'node-zlib', way: 'decompress', multiple: 7.3 / 8.6 },
  { codec: 'brotli', peer: 'node-zlib', way: 'compress', multiple: 443 / 20.4 },
  { codec: 'zstd', peer: 'zstd-napi', way: 'compress', multiple: 34.3 / 1.8 },
  { codec: 'zstd', peer: 'zstd-napi', way: 'decompress', multiple: 16.9 / 3.4 },
];

function goalsOf({ what, codec, inputs, dictionary }: Case, measured: readonly Measured[]): Goals {
  const native = measured.find(({ source }) => source === 'native');
  const zlib = measured.find(({ source }) => source === 'node-zlib');
  if (!native) return [];
  if (what.endsWith('one letter')) {
    return original
      .filter((row) => row.codec === codec)
      .flatMap(({ peer, way, multiple }) => {
        const beside = measured.find(({ source }) => source === peer);
        if (!beside) return [];
        return {
          what: `${what}, ${way}: native against the original`,
          sense: 'at most' as const,
          limit: 1,
          unit: 'x',
          values: ratios(native[way], beside[way]).map((ratio) => ratio / multiple),
        };
      });
  }
  const large = inputs[0].byteLength >= 10_240;
  if (codec !== 'gzip' || !zlib || dictionary || !large) return [];
  return [
    {
      what: `${what}: native against node:zlib`,
      sense: 'at least',
      limit: 1.4,
      values: ratios(zlib.compress, native.compress),
      unit: 'x',
    },
    {
      what: `${what}: native result against node:zlib's, in bytes`,
      sense: 'at most',
      limit: 1.02,
      values: native.compress.map(() => zlib.ratio / native.ratio),
      unit: 'x',
    },
  ];
}
