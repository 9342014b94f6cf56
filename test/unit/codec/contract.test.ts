/**
 * Goal: every codec of every source does what it claims, all decode each other, and no input makes one crash, grow or say something
 * untyped. Method: one suite over all sources that are here; samples and mutations from one seed. SLOW=1: 100,000 mutated inputs.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { checkLevel, DOES_NOT_FIT, type Flow, levels } from '../../../src/codec/codec.ts';
import { MillraceError } from '../../../src/errors.ts';
import { allCoders } from '../../support/codec/all-coders.ts';
import { samples, textOf } from '../../support/codec/samples.ts';
import { seeded } from '../../support/seed.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');
const { next } = seeded('codec contract');
const all = allCoders();
const inputs = samples(next);
const text = textOf(next, 5_000);
const isOneOf = (...codes: string[]) => {
  return (thrown: unknown) => thrown instanceof MillraceError && codes.includes(thrown.code);
};
const invalid = isOneOf('MILLRACE_COMPRESSED_INVALID');
const tooLarge = isOneOf('MILLRACE_INFLATED_TOO_LARGE');
const shared = (bytes: Uint8Array) => {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  view.set(bytes);
  return view;
};
const same = (got: Uint8Array, want: Uint8Array, what: string) =>
  assert.ok(Buffer.compare(got, want) === 0, `${what}: ${got.byteLength} of ${want.byteLength}`);

async function through(flow: Flow, parts: readonly Uint8Array[], flushes: boolean) {
  const out: Uint8Array[] = [];
  for (const part of parts) {
    out.push(await flow.push(part));
    if (flushes) out.push(await flow.flush());
  }
  out.push(await flow.end());
  flow.close();
  return { pieces: out, whole: Buffer.concat(out) };
}

function cut(bytes: Uint8Array, most: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const length = 1 + Math.floor(next() * most);
    parts.push(bytes.subarray(at, at + length));
    at += length;
  }
  return parts;
}

for (const { name, codec, source, coder } of all) {
  const { normal, min, max } = levels[codec];

  test(`${name}: every sample comes back, at the ends of the levels too`, () => {
    for (const [what, input] of inputs) {
      const packed = coder.compress(input, normal);
      same(coder.decompress(packed, input.byteLength), input, what);
    }
    for (const level of [min, max]) {
      same(coder.decompress(coder.compress(text, level), text.byteLength), text, `level ${level}`);
    }
  });

  test(`${name}: results belong to the caller and inputs stay as they were`, () => {
    const hash = createHash('sha256').update(text).digest('hex');
    const first = coder.compress(text, normal);
    const kept = first.slice();
    const other = coder.compress(textOf(next, 5_000), normal);
    same(first, kept, 'a later call changed an earlier result');
    const back = coder.decompress(first, 5_000);
    coder.decompress(other, 5_000);
    same(back, text, 'a later call changed an earlier result');
    assert.equal(createHash('sha256').update(text).digest('hex'), hash);
  });

  test(`${name}: into memory of the caller, which may be exactly as long, or one byte short`, () => {
    const packed = coder.compress(text, normal);
    const place = new Uint8Array(packed.byteLength + 100);
    const length = coder.compressInto(text, place, normal);
    same(coder.decompress(place.subarray(0, length), 5_000), text, 'compressInto');
    assert.equal(
      coder.compressInto(text, new Uint8Array(Math.min(length, 20)), normal),
      DOES_NOT_FIT,
    );
    const room = new Uint8Array(5_000);
    assert.equal(coder.decompressInto(packed, room), 5_000);
    same(room, text, 'decompressInto');
    assert.throws(() => coder.decompressInto(packed, new Uint8Array(4_999)), tooLarge);
    assert.equal(coder.decompressInto(coder.compress(new Uint8Array(0), normal), room), 0);
  });

  test(`${name}: the bound on output is exact`, () => {
    for (const [what, input] of inputs) {
      const packed = coder.compress(input, normal);
      same(coder.decompress(packed, input.byteLength), input, what);
      same(coder.decompress(packed, input.byteLength + 1), input, what);
      if (input.byteLength === 0) continue;
      assert.throws(() => coder.decompress(packed, input.byteLength - 1), tooLarge, what);
      assert.throws(() => coder.decompress(packed, 0), tooLarge, what);
    }
  });

  test(`${name}: what is cut off anywhere, empty, or followed by bytes, is no data`, () => {
    const packed = coder.compress(text.subarray(0, 300), normal);
    for (let length = 0; length < packed.byteLength; length++) {
      assert.throws(
        () => coder.decompress(packed.subarray(0, length), 5_000),
        invalid,
        `${length}`,
      );
    }
    for (const behind of ['x', '\0\0\0\0', 'more than a header']) {
      const long = Buffer.concat([packed, Buffer.from(behind)]);
      assert.throws(() => coder.decompress(long, 5_000), invalid, behind);
    }
  });

  test(`${name}: every source here reads it, and members joined where the format has them`, () => {
    const packed = coder.compress(text, normal);
    const joined = Buffer.concat([packed, packed]);
    for (const other of all.filter((each) => each.codec === codec)) {
      same(other.coder.decompress(packed, 5_000), text, other.name);
      if (codec === 'gzip' || codec === 'zstd') {
        same(other.coder.decompress(joined, 10_000), Buffer.concat([text, text]), other.name);
        assert.throws(() => other.coder.decompress(joined, 9_999), tooLarge, other.name);
      } else {
        assert.throws(() => other.coder.decompress(joined, 20_000), invalid, other.name);
      }
    }
  });

  if (coder.claims.sharedMemory) {
    test(`${name}: inputs and outputs in shared memory`, () => {
      const place = shared(new Uint8Array(8_000));
      const length = coder.compressInto(shared(text), place, normal);
      same(coder.decompress(place.subarray(0, length), 5_000), text, 'compressInto');
      const room = shared(new Uint8Array(5_000));
      coder.decompressInto(shared(coder.compress(shared(text), normal)), room);
      same(room, text, 'decompressInto');
    });
  }

  test(`${name}: a dictionary is ${coder.claims.dictionary ? 'heeded' : 'refused'}`, () => {
    const bytes = textOf(next, 2_000);
    const dictionary = { hash: createHash('sha256').update(bytes).digest('hex'), bytes };
    if (!coder.claims.dictionary) {
      const refused = isOneOf('MILLRACE_CODEC_UNAVAILABLE');
      assert.throws(() => coder.compress(text, normal, dictionary), refused);
      assert.throws(() => coder.decompress(text, 5_000, dictionary), refused);
      return;
    }
    const input = bytes.subarray(500, 800);
    const packed = coder.compress(input, normal, dictionary);
    const plain = coder.compress(input, normal);
    assert.ok(packed.byteLength < plain.byteLength / 2, `${packed.byteLength}`);
    for (const other of all.filter((each) => each.codec === codec)) {
      if (!other.coder.claims.dictionary) continue;
      same(other.coder.decompress(packed, 300, dictionary), input, other.name);
      const place = new Uint8Array(300);
      assert.equal(other.coder.decompressInto(packed, place, dictionary), 300, other.name);
      assert.throws(() => other.coder.decompress(packed, 299, dictionary), tooLarge, other.name);
      assert.throws(() => other.coder.decompress(packed, 300), invalid, other.name);
      same(other.coder.decompress(plain, 300), input, 'the dictionary is forgotten');
    }
    const place = new Uint8Array(400);
    const length = coder.compressInto(input, place, normal, dictionary);
    same(coder.decompress(place.subarray(0, length), 300, dictionary), input, 'compressInto');
  });

  if (coder.claims.stream) {
    test(`${name}: a flow in pieces, flushed or not, read in pieces or at once`, async () => {
      for (const flushes of [false, true]) {
        const parts = cut(text, 700);
        const packed = await through(coder.compressor?.(normal) as Flow, parts, flushes);
        for (const other of all.filter((each) => each.codec === codec)) {
          // Only who can flow has to read what was flushed (node-zstd.ts says why).
          if (flushes && !other.coder.claims.stream) continue;
          same(other.coder.decompress(packed.whole, 5_000), text, other.name);
          if (!other.coder.claims.stream) continue;
          const pieces = cut(packed.whole, 90);
          const back = await through(other.coder.decompressor?.(5_000) as Flow, pieces, false);
          same(back.whole, text, other.name);
        }
      }
    });

    test(`${name}: whatever is flushed can be read before the next piece comes`, async () => {
      const there = coder.compressor?.(normal) as Flow;
      const here = coder.decompressor?.(5_000) as Flow;
      for (const part of cut(text, 700)) {
        const sent = Buffer.concat([await there.push(part), await there.flush()]);
        const got = Buffer.concat([await here.push(sent), await here.flush()]);
        same(got, part, 'a flushed piece');
      }
      there.close();
      here.close();
      here.close();
    });

    test(`${name}: a flow breaks at its bound, at its early end, and at nonsense`, async () => {
      const packed = coder.compress(new Uint8Array(1_000_000), normal);
      const run = (bytes: Uint8Array) =>
        through(coder.decompressor?.(999_999) as Flow, cut(bytes, 5_000), false);
      await assert.rejects(run(packed), tooLarge);
      const small = coder.compress(text, normal);
      await assert.rejects(run(small.subarray(0, small.byteLength - 1)), invalid);
      await assert.rejects(run(Buffer.concat([small, Buffer.from('xyz')])), invalid);
      await assert.rejects(run(new Uint8Array(100).fill(0x5a)), invalid);
      const twice = coder.decompressor?.(5_000) as Flow;
      await assert.rejects(through(twice, [new Uint8Array(100).fill(0x5a)], false), invalid);
      await assert.rejects(async () => twice.push(small), invalid);
    });
  }

  test(`${name}: mutated inputs end in a result or a typed error, and memory stays`, async () => {
    const count = process.env['SLOW'] === '1' ? 100_000 : 5_000;
    const seeds = inputs.filter(([, { byteLength }]) => byteLength < 5_000);
    const packed = seeds.map(([, input]) => coder.compress(input, normal));
    let warm = 0;
    let broken = 0;
    for (let i = 0; i < count; i++) {
      if (i === count >> 1) warm = rss();
      // What node:zlib failed at is freed by the loop.
      if (i % 64 === 0) await new Promise(setImmediate);
      const bytes = mutate(packed[i % packed.length], packed[(i * 7) % packed.length]);
      try {
        assert.ok(coder.decompress(bytes, 10_000).byteLength <= 10_000);
      } catch (thrown) {
        broken++;
        assert.ok(invalid(thrown) || tooLarge(thrown), `${source} threw ${String(thrown)}`);
      }
    }
    assert.ok(broken > count / 10, `only ${broken} of ${count} were broken`);
    const grown = rss() - warm;
    assert.ok(grown < 16 * 2 ** 20, `grew by ${grown} bytes`);
  });
}

function rss(): number {
  collect();
  return process.memoryUsage.rss();
}

/** Flips bits, overwrites, cuts, or joins with another one. */
function mutate(bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const at = () => Math.floor(next() * copy.byteLength);
  switch (Math.floor(next() * 5)) {
    case 0:
      copy[at()] ^= 1 << Math.floor(next() * 8);
      return copy;
    case 1:
      for (let i = 0; i < 4; i++) copy[at()] = Math.floor(next() * 256);
      return copy;
    case 2:
      return copy.subarray(0, at());
    case 3:
      return Buffer.concat([copy.subarray(0, at()), other.subarray(Math.floor(next() * 20))]);
    default:
      copy[Math.min(Math.floor(next() * 14), copy.byteLength - 1)] = Math.floor(next() * 256);
      return copy;
  }
}

test('levels outside a range, halves and texts are refused with the range', () => {
  for (const [codec, { min, max }] of Object.entries(levels)) {
    const check = (level: unknown) => checkLevel(codec as keyof typeof levels, level as number);
    for (const level of [min, max]) check(level);
    for (const level of [min - 1, max + 1, min + 0.5, Number.NaN, '3', undefined]) {
      assert.throws(() => check(level), isOneOf('MILLRACE_CODEC_LEVEL_INVALID'), `${level}`);
    }
  }
});
