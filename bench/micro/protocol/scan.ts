/**
 * Reading chat-completion chunks: our decoder (framing, scanner, coalescing, events to a sink) against eventsource-parser and JSON.parse,
 * the usual way, in the same rounds. Both hand every text to a sink; both texts are compared before anything is timed.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createParser } from 'eventsource-parser';
import { must } from '../../../src/must.ts';
import { Coalescer } from '../../../src/protocol/coalesce.ts';
import type { EventSink } from '../../../src/protocol/events.ts';
import { openaiChat } from '../../../src/protocol/providers/openai-chat.ts';
import type { Bench, Outcome, Settings } from '../../support/bench.ts';
import { ratios } from '../../support/statistics.ts';

const EVENTS = 20_000;
const EVENTS_QUICK = 2_000;
const READ_BYTES = 16 * 1024;
/** Few enough that nothing is collected in between. */
const ALLOCATION_EVENTS = 400;

export const scan: Bench = {
  name: 'scan',
  title: 'Reading chat-completion chunks of 268 bytes, CPU per event',
  run: (settings) => Promise.resolve(measure(settings)),
};

type Way = (reads: readonly Uint8Array[]) => number;

function measure(settings: Settings): Outcome {
  const events = stream(settings.quick ? EVENTS_QUICK : EVENTS);
  const large = split(Buffer.concat(events), READ_BYTES);
  checkEqual(large);
  const cases = [
    { what: '16 KiB reads', reads: large },
    { what: 'one event per read', reads: events },
  ];
  const readings: Outcome['readings'][number][] = [];
  const goals: Outcome['goals'][number][] = [];
  for (const { what, reads } of cases) {
    const peer: number[] = [];
    const mine: number[] = [];
    for (let warm = 0; warm < 3; warm++) {
      usual(reads);
      ours(reads);
    }
    for (let round = 0; round < settings.rounds; round++) {
      settings.progress(`${what}, round ${round + 1}`);
      // One way at a time may be luckier with the collector: each is run several times a round, in turn.
      const sums = [0, 0];
      for (let turn = 0; turn < 4; turn++) {
        sums[0] += nsPerEvent(usual, reads, events.length);
        sums[1] += nsPerEvent(ours, reads, events.length);
      }
      peer.push(sums[0] / 4);
      mine.push(sums[1] / 4);
    }
    readings.push({ what: `eventsource-parser + JSON.parse, ${what}`, unit: 'ns', values: peer });
    readings.push({ what: `millrace, ${what}`, unit: 'ns', values: mine });
    goals.push({
      what: `speed against eventsource-parser + JSON.parse, ${what}`,
      sense: 'at least',
      limit: what === '16 KiB reads' ? 3 : 2.5,
      values: ratios(peer, mine),
      unit: 'x',
    });
  }
  readings.push(...allocations(stream(ALLOCATION_EVENTS)));
  return {
    readings,
    goals,
    notes: [
      `${events.length} events, 2 % with an emoji, 5 % with an escape; the other members never change within a second, as servers write them`,
      `parsed in full: ${parsedEvents(large)} of ${events.length} events`,
    ],
  };
}

function nsPerEvent(way: Way, reads: readonly Uint8Array[], events: number): number {
  const before = process.cpuUsage();
  way(reads);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / events;
}

/** The sink of both: keeps nothing but the length, as an encoder would copy the bytes on. */
let sunk = 0;

const counting: EventSink = {
  delta(_kind, _part, _bytes, start, end) {
    sunk += end - start;
  },
  tool() {},
  usage() {},
  flush() {},
  finish() {},
  fail() {},
};

function ours(reads: readonly Uint8Array[]): number {
  sunk = 0;
  const decoder = openaiChat.decoder('bench', new Coalescer(counting), { eventBytesMax: 1 << 20 });
  for (const read of reads) decoder.push(read);
  decoder.close();
  return sunk;
}

interface Chunk {
  choices: { delta: { content?: string } }[];
}

function usual(reads: readonly Uint8Array[]): number {
  sunk = 0;
  const text = new TextDecoder();
  const parser = createParser({
    onEvent({ data }) {
      if (data === '[DONE]') return;
      const chunk = JSON.parse(data) as Chunk;
      const content = chunk.choices[0]?.delta.content;
      if (content !== undefined) sunk += content.length;
    },
  });
  for (const read of reads) parser.feed(text.decode(read, { stream: true }));
  return sunk;
}

function checkEqual(reads: readonly Uint8Array[]): void {
  let mine = '';
  let theirs = '';
  const decoder = openaiChat.decoder(
    'bench',
    {
      ...counting,
      delta(_kind, _part, bytes, start, end) {
        mine += JSON.parse(`"${Buffer.from(bytes.subarray(start, end)).toString()}"`) as string;
      },
    },
    { eventBytesMax: 1 << 20 },
  );
  for (const read of reads) decoder.push(read);
  decoder.close();
  const parser = createParser({
    onEvent({ data }) {
      if (data !== '[DONE]') theirs += (JSON.parse(data) as Chunk).choices[0]?.delta.content ?? '';
    },
  });
  parser.feed(Buffer.concat(reads).toString());
  must(mine.length > 0 && mine === theirs, 'both ways read the same text');
}

function parsedEvents(reads: readonly Uint8Array[]): number {
  let parsed = 0;
  const decoder = openaiChat.decoder('bench', counting, {
    eventBytesMax: 1 << 20,
    onFallback: () => parsed++,
  });
  for (const read of reads) decoder.push(read);
  return parsed;
}

/** Bytes of heap per event, with the collector called before and kept away in between. */
function allocations(events: readonly Uint8Array[]): Outcome['readings'] {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const perEvent = (way: Way) => {
    const values: number[] = [];
    for (let round = 0; round < 5; round++) {
      collect();
      const before = process.memoryUsage().heapUsed;
      way(events);
      const after = process.memoryUsage().heapUsed;
      values.push(Math.max(0, after - before) / events.length);
    }
    return values;
  };
  const peer = perEvent(usual);
  const mine = perEvent(ours);
  return [
    { what: 'allocated per event, eventsource-parser + JSON.parse', unit: 'B', values: peer },
    { what: 'allocated per event, millrace, one event per read', unit: 'B', values: mine },
  ];
}

const words = ['the', ' river', ' carries', ' small', ' stones', ',', ' and', ' a', ' wheel', '.'];

/** Events of one stream in OpenAI's compact form, ending as streams do. */
function stream(count: number): Uint8Array[] {
  const events: Uint8Array[] = [];
  const add = (data: string) => events.push(Buffer.from(`data: ${data}\n\n`));
  const chunk = (delta: object, finish: string | null, second: number) =>
    JSON.stringify({
      id: 'chatcmpl-SZDBEedJrEb0TnoXrKT0R0u29p55mKHs',
      object: 'chat.completion.chunk',
      created: 1_795_426_362 + second,
      model: 'gpt-4o-mini-2024-07-18',
      service_tier: 'default',
      system_fingerprint: 'fp_560af6e559',
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    });
  add(chunk({ role: 'assistant', content: '' }, null, 0));
  for (let i = 0; i < count - 3; i++) {
    let content = words[(i * 7) % words.length];
    if (i % 50 === 49) content = ' 🌊';
    else if (i % 20 === 19) content = '\n"quoted"';
    add(chunk({ content }, null, Math.floor(i / 60)));
  }
  add(chunk({}, 'stop', Math.floor(count / 60)));
  add('[DONE]');
  return events;
}

function split(bytes: Uint8Array, length: number): Uint8Array[] {
  const reads: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += length) reads.push(bytes.subarray(at, at + length));
  return reads;
}
