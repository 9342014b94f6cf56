/** Goal: the guide's CompressionManager: what goes in comes out, where it would not pay nothing is done, large work leaves the thread, nothing a stranger sends grows beyond the bound. */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import { isServed } from '../../../src/codec/choice.ts';
import { MillraceError } from '../../../src/errors.ts';
import {
  type CompressionAlgorithm,
  CompressionManager,
} from '../../../src/parts/compression-manager.ts';
import { noise, textOf } from '../../support/codec/samples.ts';
import { seeded } from '../../support/seed.ts';

const { next } = seeded('compression manager');
const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof MillraceError && thrown.code === wanted;
const algorithms = (['Gzip', 'Deflate', 'Brotli', 'Zstd'] as const).filter(
  (algorithm) => algorithm !== 'Zstd' || isServed('zstd'),
);
const encodingOf = (algorithm: CompressionAlgorithm) => algorithm.toLowerCase();

for (const algorithm of algorithms) {
  test(`${algorithm}: comes back at every size, on this thread and elsewhere; short and random inputs stay as they are`, async (t) => {
    const it = new CompressionManager({ algorithm });
    t.after(() => it.close());
    for (const size of [0, 1, 1_023, 1_024, 16_383, 16_384, 200_000]) {
      const input = textOf(next, size);
      const { bytes, encoding } = await it.compress(input);
      assert.equal(encoding, size < 1_024 ? 'identity' : encodingOf(algorithm), `${size}`);
      assert.equal(it.shouldCompress(input), size >= 1_024);
      assert.deepEqual(new Uint8Array(await it.decompress(bytes, encoding)), input, `${size}`);
      if (encoding !== 'identity') assert.equal((await it.decompress(bytes)).byteLength, size);
    }
    const random = await it.compress(noise(next, 5_000));
    assert.equal(random.encoding, 'identity');
    const text = await it.compress('ä'.repeat(2_000));
    const back = await it.decompress(text.bytes, text.encoding);
    assert.equal(new TextDecoder().decode(back), 'ä'.repeat(2_000));
  });

  test(`${algorithm}: bombs, nonsense and the wrong encoding are typed errors, here and elsewhere`, async (t) => {
    const it = new CompressionManager({ algorithm, outputBytesMax: 100_000, minCompressSize: 0 });
    t.after(() => it.close());
    const big = new CompressionManager({ algorithm, outputBytesMax: 10 ** 7 });
    t.after(() => big.close());
    const { bytes: bomb } = await big.compress(new Uint8Array(10 ** 7));
    await assert.rejects(it.decompress(bomb), code('MILLRACE_INFLATED_TOO_LARGE'));
    const exact = await big.compress(new Uint8Array(100_000));
    assert.equal((await it.decompress(exact.bytes)).byteLength, 100_000);
    for (const bytes of [noise(next, 50), noise(next, 50_000), new Uint8Array(0)]) {
      await assert.rejects(it.decompress(bytes), code('MILLRACE_COMPRESSED_INVALID'));
    }
    const other = algorithm === 'Gzip' ? 'brotli' : 'gzip';
    await assert.rejects(it.decompress(bomb, other), code('MILLRACE_COMPRESSED_INVALID'));
    await assert.rejects(it.decompress(bomb, 'lzma' as never), code('MILLRACE_FIELD_INVALID'));
    await assert.rejects(
      it.decompress(new Uint8Array(100_001), 'identity'),
      code('MILLRACE_INFLATED_TOO_LARGE'),
    );
    assert.equal(it.getStats().failed, 7);
  });
}

test('others read it: node:zlib decompresses what was compressed elsewhere', async (t) => {
  const input = textOf(next, 100_000);
  const it = new CompressionManager({ level: 9 });
  t.after(() => it.close());
  const { bytes } = await it.compress(input);
  assert.deepEqual(new Uint8Array(zlib.gunzipSync(bytes)), input);
});

test('statistics say what happened, and can begin again', async (t) => {
  const it = new CompressionManager({ minCompressSize: 100 });
  t.after(() => it.close());
  assert.equal(it.compressionRatio(), 1);
  const { bytes } = await it.compress(new Uint8Array(5_000));
  await it.compress(new Uint8Array(99));
  await it.decompress(bytes);
  const stats = it.getStats();
  const { compressed, skipped, decompressed, failed, originalBytes, compressedBytes } = stats;
  assert.deepEqual([compressed, skipped, decompressed, failed], [1, 1, 1, 0]);
  assert.equal(originalBytes, 5_099);
  assert.equal(compressedBytes, bytes.byteLength + 99);
  assert.equal(stats.ratio, 5_099 / compressedBytes);
  assert.equal(it.compressionRatio(1_000, 250), 4);
  it.resetStats();
  assert.equal(it.getStats().originalBytes, 0);
});

test('a dictionary makes short inputs smaller, for those who have it', async (t) => {
  for (const algorithm of [
    'Deflate',
    ...(isServed('zstd+dict') ? (['Zstd'] as const) : []),
  ] as const) {
    const dictionary = textOf(next, 3_000);
    const it = new CompressionManager({ algorithm, dictionary });
    const without = new CompressionManager({ algorithm });
    t.after(() => Promise.all([it.close(), without.close()]));
    const input = dictionary.subarray(1_000, 1_200);
    const { bytes, encoding } = await it.compress(input);
    assert.ok(bytes.byteLength < 60, `${algorithm}: ${bytes.byteLength}`);
    assert.deepEqual(new Uint8Array(await it.decompress(bytes, encoding)), input);
    await assert.rejects(without.decompress(bytes), code('MILLRACE_COMPRESSED_INVALID'));
  }
  const dictionary = new Uint8Array(10);
  assert.throws(() => new CompressionManager({ dictionary }), code('MILLRACE_CODEC_UNAVAILABLE'));
});

test('large inputs leave the thread: it turns meanwhile; what waits is bounded', async (t) => {
  const it = new CompressionManager({
    algorithm: 'Brotli',
    level: 9,
    threadsMax: 1,
    pendingMax: 3,
  });
  t.after(() => it.close());
  const input = textOf(next, 1_000_000);
  let turns = 0;
  let busy = true;
  const turn = () => {
    turns += 1;
    if (busy) setImmediate(turn);
  };
  turn();
  const began = performance.now();
  const running = [it.compress(input), it.compress(input), it.compress(input)];
  await assert.rejects(it.compress(input), code('MILLRACE_OVERLOADED'));
  const made = await Promise.all(running);
  busy = false;
  const tookMs = performance.now() - began;
  assert.ok(made.every(({ encoding }) => encoding === 'brotli'));
  assert.ok(turns > tookMs / 10, `${turns} turns in ${tookMs} ms`);
  // And it works again after it was closed.
  await it.close();
  assert.equal((await it.compress(input)).encoding, 'brotli');
});

test('options out of range are refused with the range', () => {
  const make = (options: object) => () => new CompressionManager(options);
  assert.throws(make({ level: 10 }), code('MILLRACE_CODEC_LEVEL_INVALID'));
  assert.throws(make({ algorithm: 'Brotli', level: 12 }), code('MILLRACE_CODEC_LEVEL_INVALID'));
  assert.throws(make({ algorithm: 'Zstd', level: 23 }), code('MILLRACE_CODEC_LEVEL_INVALID'));
  assert.throws(make({ algorithm: 'Lzma' }), code('MILLRACE_FIELD_INVALID'));
  for (const path of ['minCompressSize', 'outputBytesMax', 'offloadBytes', 'pendingMax']) {
    assert.throws(make({ [path]: -1 }), code('MILLRACE_FIELD_INVALID'), path);
  }
  assert.throws(make({ threadsMax: 0 }), code('MILLRACE_FIELD_INVALID'));
});
