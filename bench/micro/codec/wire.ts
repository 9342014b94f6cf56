/**
 * What a token weighs: payload and wire bytes of the deltas of each dialect under each encoding, on simulated answers that no dictionary
 * was trained on and on the recorded ones of test/recordings; and what the dictionary costs beside gzip.
 */
import { constants, createDeflateRaw, type DeflateRaw } from 'node:zlib';
import { chooseCoder, isServed } from '../../../src/codec/choice.ts';
import type { Dictionary } from '../../../src/codec/codec.ts';
import { DICTIONARY_LEVEL, loadDictionary } from '../../../src/codec/dictionaries.ts';
import { dictionaryFor } from '../../../src/codec/dictionary-table.ts';
import { deflateMessage } from '../../../src/codec/permessage-deflate.ts';
import { must } from '../../../src/must.ts';
import { recordings } from '../../../test/support/recordings.ts';
import type { Bench, Outcome, Settings } from '../../support/bench.ts';
import {
  type FramedDialect,
  framedDialects,
  framesOf,
  simulatedBody,
} from '../../support/dialect-frames.ts';
import { ratios } from '../../support/statistics.ts';

/** No dictionary has seen these. */
const SEED = 9;
const FIRST = 1_000;
const ANSWERS = 30;
const TOKENS_MAX = 3_000;
/** The readings are of these alone: the simulated ones differ by a few per cent. */
const RECORDED = 'recorded';
/** Around one write: a TLS 1.3 record, and TCP over IPv4 with timestamps. */
const TLS_BYTES = 22;
const TCP_BYTES = 52;

export const wire: Bench = { name: 'wire', title: 'Wire bytes per token', run: measure };

interface Sample {
  readonly dialect: FramedDialect;
  readonly from: string;
  readonly frames: readonly Uint8Array[];
}

async function measure(settings: Settings): Promise<Outcome> {
  const readings: Outcome['readings'][number][] = [];
  const goals: Outcome['goals'][number][] = [];
  for (const sample of framedDialects.flatMap(samplesOf)) {
    const { dialect, from, frames } = sample;
    settings.progress(`${dialect}, ${from}`);
    const plain = mean(frames);
    for (const [encoding, sizes] of await encoded(sample)) {
      const what = `${dialect}, ${from}, ${encoding}`;
      const payload = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
      const framed = sizes.reduce((sum, size) => sum + size + headerBytes(size), 0) / sizes.length;
      const wireAt = (tokens: number) => framed + (TLS_BYTES + TCP_BYTES) / tokens;
      if (from === RECORDED) {
        readings.push(
          { what: `${what}: payload`, unit: 'B', values: [payload] },
          { what: `${what}: on the wire, one token a write`, unit: 'B', values: [wireAt(1)] },
          { what: `${what}: on the wire, 8 tokens a write`, unit: 'B', values: [wireAt(8)] },
        );
      }
      if (dialect !== 'responses' || encoding !== 'zstd+dict') continue;
      goals.push({
        what: `Responses delta, ${from}: smaller by the dictionary`,
        sense: 'at least',
        limit: 5,
        values: Array.from({ length: Math.max(5, settings.rounds) }, () => plain / payload),
        unit: 'x',
      });
    }
    if (dialect === 'responses') goals.push(...costs(sample, settings));
  }
  const notes = [
    `wire bytes: payload, WebSocket header, ${TLS_BYTES} B of TLS, ${TCP_BYTES} B of TCP/IP`,
  ];
  return { readings, goals, notes };
}

function samplesOf(dialect: FramedDialect): Sample[] {
  const simulated = Array.from({ length: ANSWERS }, (_, at) =>
    framesOf(dialect, simulatedBody(SEED, FIRST + at), FIRST + at),
  );
  const recorded = recordings('POST /v1/chat/completions')
    .filter(({ status, whole, header }) => {
      const streams = header('content-type')?.includes('event-stream') ?? false;
      return status === 200 && whole && streams;
    })
    .map(({ body }, at) => framesOf(dialect, body, at));
  const deltas = (all: readonly (readonly Uint8Array[])[]) =>
    all
      .flat()
      .filter((frame) => isTextDelta(dialect, frame))
      .slice(0, TOKENS_MAX);
  return [
    { dialect, from: 'simulated', frames: deltas(simulated) },
    { dialect, from: RECORDED, frames: deltas(recorded) },
  ];
}

function isTextDelta(dialect: FramedDialect, frame: Uint8Array): boolean {
  const text = Buffer.from(frame).toString();
  if (dialect === 'responses') return text.includes('"response.output_text.delta"');
  return /^\{"content":"[^"]/.test(text);
}

/** The sizes of all frames under each encoding; what would grow goes as it is. */
async function encoded({ dialect, frames }: Sample): Promise<[string, number[]][]> {
  const plain = frames.map(({ byteLength }) => byteLength);
  const least = (sizes: readonly number[]) => sizes.map((size, at) => Math.min(size, plain[at]));
  const each = (codec: 'gzip' | 'zstd', level: number, dictionary?: Dictionary) => {
    const { coder } = chooseCoder(codec, 150, dictionary !== undefined);
    return least(frames.map((frame) => coder.compress(frame, level, dictionary).byteLength));
  };
  const dictionary = dictionaryOf(dialect);
  return [
    ['as it is', plain],
    ['gzip', each('gzip', 6)],
    ...(isServed('zstd') ? [['zstd', each('zstd', 3)] as [string, number[]]] : []),
    ...(isServed('zstd+dict')
      ? [['zstd+dict', each('zstd', DICTIONARY_LEVEL, dictionary)] as [string, number[]]]
      : []),
    [
      'permessage-deflate shared',
      least(frames.map((frame, at) => deflateMessage(frame)?.byteLength ?? plain[at])),
    ],
    ['permessage-deflate 1KiB', await takeover(frames, 10, 2)],
    ['permessage-deflate 4KiB', await takeover(frames, 12, 4)],
  ];
}

/** permessage-deflate with a context that is kept, as uWebSockets.js sets it up. */
async function takeover(frames: readonly Uint8Array[], windowBits: number, memLevel: number) {
  const engine = createDeflateRaw({ windowBits, memLevel, level: 1 });
  let bytes = 0;
  engine.on('data', (chunk: Uint8Array) => (bytes += chunk.byteLength));
  const sizes: number[] = [];
  for (const frame of frames) {
    bytes = 0;
    await flushed(engine, frame);
    sizes.push(bytes - 4);
  }
  engine.close();
  return sizes;
}

function flushed(engine: DeflateRaw, frame: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    engine.write(frame);
    engine.flush(constants.Z_SYNC_FLUSH, resolve);
  });
}

function costs({ dialect, from, frames }: Sample, settings: Settings): Outcome['goals'][number][] {
  if (!isServed('zstd+dict')) return [];
  const dictionary = dictionaryOf(dialect);
  const zstd = chooseCoder('zstd', 150, true).coder;
  const gzip = chooseCoder('gzip', 150, false);
  const place = new Uint8Array(4_096);
  const runs = {
    dictionary: () =>
      frames.forEach((frame) => zstd.compressInto(frame, place, DICTIONARY_LEVEL, dictionary)),
    gzip: () => frames.forEach((frame) => gzip.coder.compressInto(frame, place, 6)),
  };
  const us = { dictionary: [] as number[], gzip: [] as number[] };
  for (let round = -1; round < settings.rounds; round++) {
    for (const name of ['dictionary', 'gzip'] as const) {
      const before = process.cpuUsage();
      runs[name]();
      const { user, system } = process.cpuUsage(before);
      if (round >= 0) us[name].push((user + system) / frames.length);
    }
  }
  return [
    {
      what: `Responses delta, ${from}: CPU of the dictionary against gzip-6 (${gzip.source})`,
      sense: 'at most',
      limit: 0.25,
      values: ratios(us.dictionary, us.gzip),
      unit: 'x',
    },
  ];
}

function dictionaryOf(dialect: string): Dictionary {
  const dictionary = loadDictionary(dictionaryFor(dialect)?.hash ?? '');
  must(dictionary, `${dialect} has a dictionary`);
  return dictionary;
}

const mean = (frames: readonly Uint8Array[]) =>
  frames.reduce((sum, { byteLength }) => sum + byteLength, 0) / frames.length;

const headerBytes = (payload: number) => (payload < 126 ? 2 : 4);
