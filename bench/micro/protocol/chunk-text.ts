/** Cutting text between graphemes: strings and escaped bytes, ASCII and mixed scripts, against Intl.Segmenter over all of it. CPU. */
import { must } from '../../../src/must.ts';
import { cutBody, TextChunks } from '../../../src/protocol/chunk-text.ts';
import { passages } from '../../../src/simulate/corpus.ts';
import type { Bench, Outcome, Settings } from '../../support/bench.ts';
import { median } from '../../support/statistics.ts';

const SIZE = 20;
const UNITS = 2_000_000;
const UNITS_QUICK = 100_000;
/** Intl.Segmenter takes seconds for what the others do in milliseconds. */
const SEGMENTED_SHARE = 100;

export const chunkText: Bench = {
  name: 'chunk-text',
  title: `Text in pieces of ${SIZE} graphemes, CPU`,
  run: (settings) => Promise.resolve(measure(settings)),
};

interface Case {
  readonly what: string;
  readonly unit: 'MB/s' | 'M characters/s';
  readonly goal?: number;
  /** Millions. */
  readonly amount: number;
  readonly run: () => void;
}

function measure(settings: Settings): Outcome {
  const cases = casesOf(settings.quick ? UNITS_QUICK : UNITS);
  const measured = cases.map((each) => {
    for (let warm = 0; warm < 3; warm++) each.run();
    const values = Array.from({ length: settings.rounds }, (_, round) => {
      settings.progress(`${each.what}, round ${round + 1}`);
      return each.amount / median([1, 2, 3].map(() => seconds(each.run)));
    });
    return { each, values };
  });
  return {
    readings: measured.map(({ each: { what, unit }, values }) => ({ what, unit, values })),
    goals: measured.flatMap(({ each: { what, unit, goal }, values }) =>
      goal === undefined ? [] : [{ what, sense: 'at least' as const, limit: goal, values, unit }],
    ),
    notes: ['Mixed: the passages of the simulated answers, in a dozen scripts, with emoji.'],
  };
}

function casesOf(units: number): Case[] {
  const repeated = (text: string) => text.repeat(Math.ceil(units / text.length));
  const ascii = repeated(passages.filter((each) => /^[ -~]*$/.test(each)).join(' '));
  const mixed = repeated(passages.join('\n'));
  const characters = (text: string) => Array.from(text).length / 1e6;
  const bytesOf = (text: string) => Buffer.from(JSON.stringify(text)).subarray(1, -1);
  const asciiBytes = bytesOf(ascii);
  const mixedBytes = bytesOf(mixed);
  const small = mixed.slice(0, units / SEGMENTED_SHARE);
  const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
  const all = [
    ['text, ASCII', 'MB/s', ascii.length / 1e6, () => cutText(ascii), 500],
    ['text, mixed', 'M characters/s', characters(mixed), () => cutText(mixed), 50],
    ['escaped bytes, ASCII', 'MB/s', asciiBytes.length / 1e6, () => cutBytes(asciiBytes), 500],
    ['escaped bytes, mixed', 'M characters/s', characters(mixed), () => cutBytes(mixedBytes), 50],
  ] as const;
  return [
    ...all.map(([what, unit, amount, run, goal]) => ({ what, unit, amount, run, goal })),
    {
      what: 'Intl.Segmenter, mixed',
      unit: 'M characters/s' as const,
      amount: characters(small),
      run: () => {
        for (const _ of segmenter.segment(small)) pieces++;
      },
    },
  ];
}

/** So that nothing is optimised away. */
let pieces = 0;

function cutText(text: string): void {
  const chunks = new TextChunks();
  chunks.push(text);
  let said = 0;
  for (let piece = chunks.next(SIZE, true); piece !== ''; piece = chunks.next(SIZE, true)) {
    said += piece.length;
  }
  must(said === text.length, 'all of the text came');
}

const cut = { end: 0, whole: 0 };

function cutBytes(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at = cut.end) {
    cutBody(bytes, at, bytes.length, SIZE, cut);
    pieces++;
  }
}

function seconds(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
