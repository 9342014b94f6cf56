/**
 * Goal: the native addon keeps to the ranges it is given, in private and shared memory, one by one and in batches, and nothing that it
 * is fed makes it crash or take memory. What all sources share is in contract.test.ts. Method: places with marked edges, bombs and
 * headers made by hand.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { type CodecName, codecNames, levels } from '../../../src/codec/codec.ts';
import { loadNative } from '../../../src/codec/native.ts';
import { addonFailure } from '../../../src/codec/native-addon.ts';
import { MillraceError } from '../../../src/errors.ts';
import { Bug } from '../../../src/must.ts';
import { addon, noAddon } from '../../support/codec/addon.ts';
import { textOf } from '../../support/codec/samples.ts';
import { seeded } from '../../support/seed.ts';

const { next } = seeded('native addon');
const text = textOf(next, 5_000);
const MARK = 0xa5;
const MIB = 2 ** 20;

/** A place in the middle of marked memory, shared or not. */
function place(length: number, shared = false): Uint8Array {
  const bytes = length + 64;
  return new Uint8Array(shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)).fill(MARK);
}

function edgesAreMarked(bytes: Uint8Array, what: string): void {
  const edges = [...bytes.subarray(0, 32), ...bytes.subarray(-32)];
  assert.ok(
    edges.every((byte) => byte === MARK),
    `${what}: wrote outside its range`,
  );
}

function packed(codec: number, input: Uint8Array, level = levels[codecNames[codec]].normal) {
  const output = new Uint8Array(input.byteLength * 2 + 1_024);
  const end = output.byteLength;
  const length = addon().compressInto(
    codec,
    level,
    input,
    0,
    input.byteLength,
    output,
    0,
    end,
    null,
  );
  assert.ok(length > 0, `${codecNames[codec]} answered ${length}`);
  return output.slice(0, length);
}

describe('the native addon', { skip: noAddon }, () => {
  for (const [codec, name] of codecNames.entries()) {
    for (const shared of [false, true]) {
      test(`${name}: exact room, one byte less and none, in ${shared ? 'shared' : 'private'} memory`, () => {
        const level = levels[name].normal;
        const bytes = packed(codec, text);
        const source = place(text.byteLength, shared);
        source.set(text, 32);
        const from = 32;
        const to = 32 + text.byteLength;
        // zstd wants room to spare while it works.
        const enough = name === 'zstd' ? bytes.byteLength + 64 : bytes.byteLength;
        for (const room of [enough, bytes.byteLength - 1, 0]) {
          const output = place(room, shared);
          const got = addon().compressInto(
            codec,
            level,
            source,
            from,
            to,
            output,
            32,
            32 + room,
            null,
          );
          edgesAreMarked(output, `compress into ${room}`);
          assert.equal(got, room === enough ? bytes.byteLength : addonFailure.full, `${room}`);
          if (got > 0) assert.deepEqual(output.slice(32, 32 + got), bytes);
        }
        const input = place(bytes.byteLength, shared);
        input.set(bytes, 32);
        for (const room of [text.byteLength, text.byteLength - 1, 0]) {
          const output = place(room, shared);
          const upto = 32 + bytes.byteLength;
          const got = addon().decompressInto(codec, input, 32, upto, output, 32, 32 + room, null);
          edgesAreMarked(output, `decompress into ${room}`);
          assert.equal(got, room === text.byteLength ? room : addonFailure.full, `${room}`);
          if (got > 0) assert.ok(Buffer.compare(output.subarray(32, 32 + got), text) === 0);
        }
        edgesAreMarked(input, 'an input');
      });
    }
  }

  test('ranges outside an array, backwards, or over each other are refused', () => {
    const input = new Uint8Array(100);
    const output = new Uint8Array(100);
    const both = new Uint8Array(100);
    const ranges = [
      [input, 0, 101, output, 0, 100],
      [input, 60, 50, output, 0, 100],
      [input, 0, 100, output, 0, 101],
      [input, 2 ** 32 - 1, 2 ** 32 - 1, output, 0, 100],
      [both, 0, 51, both, 50, 100],
      [both, 50, 100, both, 0, 51],
    ] as const;
    for (const [from, a, b, to, c, d] of ranges) {
      const refused = [
        addon().compressInto(0, 6, from, a, b, to, c, d, null),
        addon().decompressInto(0, from, a, b, to, c, d, null),
      ];
      assert.deepEqual(refused, [addonFailure.range, addonFailure.range], `${a} ${b} ${c} ${d}`);
    }
    assert.ok(addon().compressInto(0, 6, both, 0, 50, both, 50, 100, null) > 0, 'neighbours');
    const { source } = loadNative();
    assert.throws(() => source?.coders.gzip?.compressInto(both, both, 6), Bug);
  });

  test('what is no array of bytes is an exception', () => {
    const call = (input: unknown) => () =>
      addon().compressInto(0, 6, input as Uint8Array, 0, 1, new Uint8Array(9), 0, 9, null);
    for (const input of ['text', null, 7, {}, [1], new DataView(new ArrayBuffer(8))]) {
      assert.throws(call(input), Error);
    }
    assert.throws(call(new Float64Array(8)), /Uint8Array/);
    assert.throws(() => addon().prepareDictionary(text, 23), /Level/);
    const strange = { prepared: 1 } as never;
    assert.throws(() =>
      addon().compressInto(3, 3, text, 0, 10, new Uint8Array(99), 0, 99, strange),
    );
  });

  test('a batch does each of its rows, and one that fails stops no other', () => {
    for (const [codec, name] of codecNames.entries()) {
      const output = new Uint8Array(6_000).fill(MARK);
      // Three messages into 2,000 bytes each; the second gets no room, the third lies outside.
      const rows = [
        0, 900, 0, 2_000, 0, 900, 1_800, 2_000, 2_001, 0, 1_800, 9_000, 4_000, 6_000, 0,
      ];
      const table = Uint32Array.from(rows);
      const level = levels[name].normal;
      assert.equal(addon().compressBatch(codec, level, text, output, table, null), 1, name);
      const answers = new Int32Array(table.buffer);
      const length = answers[4];
      assert.deepEqual([...packed(codec, text.subarray(0, 900))], [...output.subarray(0, length)]);
      assert.equal(answers[9], addonFailure.full);
      assert.equal(answers[14], addonFailure.range);
      assert.ok(output.subarray(2_001).every((byte) => byte === MARK));

      const back = new Uint8Array(1_900);
      const again = Uint32Array.from([0, length, 0, 900, 0, 0, length, 1_000, 1_900, 0]);
      assert.equal(addon().decompressBatch(codec, output, back, again, null), 2, name);
      for (const at of [0, 1_000]) {
        const got = back.subarray(at, at + 900);
        assert.ok(Buffer.compare(got, text.subarray(0, 900)) === 0, `${name} at ${at}`);
      }
      // Words behind the last whole row are nobody's.
      const short = Uint32Array.from([0, length, 0, 900]);
      assert.equal(addon().decompressBatch(codec, output, back, short, null), 0);
    }
  });

  test('bombs of every ratio stop at the room they have', () => {
    const cap = MIB;
    for (const zeros of [cap + 1, 16 * MIB, 64 * MIB]) {
      const bomb = Buffer.alloc(zeros);
      const bombs: Record<CodecName, Uint8Array> = {
        gzip: gzipSync(bomb),
        deflate: deflateSync(bomb),
        brotli: brotliCompressSync(bomb, { params: { 1: 5 } }),
        zstd: packed(3, bomb),
      };
      for (const [codec, name] of codecNames.entries()) {
        const input = bombs[name];
        const output = place(cap);
        const before = process.memoryUsage.rss();
        const began = process.cpuUsage();
        const length = input.byteLength;
        const got = addon().decompressInto(codec, input, 0, length, output, 32, 32 + cap, null);
        const { user, system } = process.cpuUsage(began);
        assert.equal(got, addonFailure.full, `${name} of ${zeros}`);
        edgesAreMarked(output, `${name} of ${zeros}`);
        assert.ok(user + system < 50_000, `${name}: ${user + system} µs`);
        const grown = process.memoryUsage.rss() - before;
        assert.ok(grown < 32 * MIB, `${name} of ${zeros} grew by ${grown}`);
      }
    }
  });

  test('a thousand members are one input, and their sum has the bound', () => {
    for (const codec of [0, 3]) {
      const member = packed(codec, text.subarray(0, 1_000));
      const input = Buffer.concat(Array.from({ length: 1_000 }, () => member));
      const output = place(1_000_000);
      const upto = input.byteLength;
      const run = (end: number) =>
        addon().decompressInto(codec, input, 0, upto, output, 32, end, null);
      assert.equal(run(32 + 999_999), addonFailure.full);
      assert.equal(run(32 + 1_000_000), 1_000_000);
      edgesAreMarked(output, codecNames[codec]);
    }
  });

  test('headers that lie about a size allocate nothing', () => {
    // Magic number, an 8-byte content size of 2^60 in one segment, then a raw last block of one byte.
    const zstd = Buffer.from('28b52ffde0000000000000001009000061', 'hex');
    const gzip = Buffer.from(gzipSync(text));
    gzip.writeUInt32LE(0xffff_fffe, gzip.byteLength - 4);
    const before = process.memoryUsage.rss();
    for (const [codec, input] of [
      [3, zstd],
      [0, gzip],
    ] as const) {
      const output = place(10_000);
      const got = addon().decompressInto(codec, input, 0, input.length, output, 32, 10_032, null);
      assert.ok(got === addonFailure.full || got === addonFailure.corrupt, `${got}`);
      edgesAreMarked(output, codecNames[codec]);
      const coder = loadNative().source?.coders[codecNames[codec]];
      assert.throws(() => coder?.decompress(input, 64 * MIB), MillraceError);
    }
    const grown = process.memoryUsage.rss() - before;
    assert.ok(grown < 128 * MIB, `grew by ${grown}`);
  });

  test('the same samples train the same dictionary, and its number tells it from another', () => {
    const samples = Array.from({ length: 1_500 }, (_, at) =>
      Buffer.from(`{"type":"delta","item":"it_${at % 7}","sequence":${at},"delta":"${at ** 2}"}`),
    );
    const sizes = Uint32Array.from(samples, ({ byteLength }) => byteLength);
    const train = (number: number, list = sizes) => {
      const output = new Uint8Array(2_048);
      const answer = addon().trainDictionary(Buffer.concat(samples), list, output, 3, number);
      return answer > 0 ? output.slice(0, answer) : answer;
    };
    const dictionary = train(40_000);
    assert.ok(dictionary instanceof Uint8Array);
    assert.deepEqual(train(40_000), dictionary);
    assert.equal(Buffer.from(dictionary).readUInt32LE(4), 40_000);
    assert.equal(train(0), addonFailure.range);
    assert.equal(train(40_000, sizes.subarray(1)), addonFailure.range);

    const packs = addon().prepareDictionary(dictionary, 3);
    const input = samples[9];
    const output = new Uint8Array(200);
    const end = input.byteLength;
    const length = addon().compressInto(3, 3, input, 0, end, output, 0, 200, packs);
    assert.ok(length < packed(3, input).byteLength / 2, `${length}`);
    const back = new Uint8Array(200);
    const other = train(40_001) as Uint8Array;
    const read = (given: Uint8Array) =>
      addon().decompressInto(
        3,
        output,
        0,
        length,
        back,
        0,
        200,
        addon().prepareDictionary(given, 0),
      );
    assert.equal(read(dictionary), input.byteLength);
    assert.equal(read(other), addonFailure.dictionary);
    assert.equal(read(text), addonFailure.dictionary);
  });

  test('a panic is an exception, and the next call works', () => {
    assert.throws(() => addon().panicForTest(), /asked for by a test/);
    assert.ok(packed(3, text).byteLength > 0);
  });

  test('contexts that are given up are made again', () => {
    for (let round = 0; round < 3; round++) {
      for (const codec of codecNames.keys()) packed(codec, text);
      addon().releaseContexts();
    }
  });

  test('a hard level leaves no large context behind', () => {
    // In processes of their own: what an allocator keeps of earlier work would hide it. The best of some: it keeps a little now and then.
    const grown = [1, 2, 3].map(() => Number(evaluated(hardLevel)));
    // What level 19 works with is twice that.
    assert.ok(Math.min(...grown) < 8 * MIB, `grew by ${grown.join(', ')}`);
  });
});

const hardLevel = `
  const input = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at ** 2 % 7919).toString(36)).join(' '));
  const output = new Uint8Array(2 ** 20).fill(1);
  const run = (level) => addon.compressInto(3, level, input, 0, input.length, output, 0, output.length, null);
  run(3);
  const before = process.memoryUsage.rss();
  if (run(19) <= 0) throw new Error('level 19 failed');
  console.log(process.memoryUsage.rss() - before);`;

/** What a process prints that has the addon. */
function evaluated(code: string, env: NodeJS.ProcessEnv = {}): string {
  const url = new URL('../../../src/codec/native-addon.js', import.meta.url).href;
  const whole = `import { loadAddon } from ${JSON.stringify(url)}; const addon = loadAddon(); ${code}`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', whole], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  assert.equal(stderr, '');
  return stdout;
}

test('dictionaries that nobody holds any more are freed', { skip: noAddon }, async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const dictionary = textOf(next, 64 * 1024);
  const make = async (count: number) => {
    for (let at = 0; at < count; at++) addon().prepareDictionary(dictionary, 3);
    collect();
    // Finalizers run in a turn of their own.
    await new Promise(setImmediate);
  };
  for (let round = 0; round < 4; round++) await make(50);
  const before = process.memoryUsage.rss();
  for (let round = 0; round < 8; round++) await make(50);
  const grown = process.memoryUsage.rss() - before;
  // Each holds more than 100 KiB.
  assert.ok(grown < 16 * MIB, `400 dictionaries left ${grown} bytes`);
});

test('MILLRACE_NATIVE=0 leaves the addon out, and says so', () => {
  const said = evaluated('console.log(addon);', { MILLRACE_NATIVE: '0' });
  assert.equal(said, 'MILLRACE_NATIVE=0 leaves it out\n');
});
