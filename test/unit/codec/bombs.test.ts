/**
 * Goal: what a stranger sends never becomes more than the bound, whatever it says about itself. Method: bombs of ratio 1,000 to
 * 650,000, concatenated members, headers that lie, for every source; memory and CPU time are measured.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Flow, levels } from '../../../src/codec/codec.ts';
import { MillraceError } from '../../../src/errors.ts';
import { allCoders } from '../../support/codec/all-coders.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

const CAP = 2 ** 20;
const BOMB_BYTES = (process.env['SLOW'] === '1' ? 256 : 64) * 2 ** 20;
const RSS_MAX = 32 * 2 ** 20;
const CPU_MAX_MS = 50;

const bomb = new Uint8Array(BOMB_BYTES);
const all = allCoders();

/** Best of three: the machine is busy. */
function cheap(what: string, run: () => void): void {
  const before = rss();
  const best = Math.min(...[1, 2, 3].map(() => cpuMs(run)));
  assert.ok(best <= CPU_MAX_MS, `${what}: ${best} ms`);
  const grown = rss() - before;
  assert.ok(grown <= RSS_MAX, `${what}: grew by ${grown} bytes`);
}

function cpuMs(run: () => void): number {
  const from = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1_000;
}

function rss(): number {
  collect();
  return process.memoryUsage.rss();
}

const typed = (thrown: unknown) =>
  thrown instanceof MillraceError &&
  ['MILLRACE_INFLATED_TOO_LARGE', 'MILLRACE_COMPRESSED_INVALID'].includes(thrown.code);
const tooLarge = (thrown: unknown) =>
  thrown instanceof MillraceError && thrown.code === 'MILLRACE_INFLATED_TOO_LARGE';

for (const { name, codec, coder } of all) {
  const packed = coder.compress(bomb, levels[codec].normal);

  test(`${name}: a bomb of ratio ${Math.round(BOMB_BYTES / packed.byteLength)} stops at the bound`, () => {
    cheap(name, () => assert.throws(() => coder.decompress(packed, CAP), tooLarge));
    const place = new Uint8Array(CAP);
    cheap(name, () => assert.throws(() => coder.decompressInto(packed, place), tooLarge));
  });

  test(`${name}: many members that are small each stop at the bound of their sum`, () => {
    const small = coder.compress(bomb.subarray(0, CAP / 4), levels[codec].normal);
    const joined = Buffer.concat(Array.from({ length: 40 }, () => small));
    cheap(name, () => assert.throws(() => coder.decompress(joined, CAP), typed));
  });

  if (coder.claims.stream) {
    test(`${name}: a flow gives no more than the bound and a block`, async () => {
      const flow = coder.decompressor?.(CAP) as Flow;
      let given = 0;
      const feed = async () => {
        for (let at = 0; at < packed.byteLength; at += 1_000) {
          given += (await flow.push(packed.subarray(at, at + 1_000))).byteLength;
        }
        given += (await flow.end()).byteLength;
      };
      await assert.rejects(feed, tooLarge);
      assert.ok(given <= CAP + 128 * 1024, `${given}`);
    });
  }
}

/** A zstd frame of RLE blocks; its header claims `content` bytes (8-byte field), or has a window instead. */
function rleFrame(blocks: number, content: bigint | undefined): Uint8Array {
  const magic = Buffer.from('28b52ffd', 'hex');
  const header = Buffer.alloc(content === undefined ? 2 : 9);
  if (content === undefined) header.writeUInt16LE(0x58_00);
  else {
    header[0] = 0b1110_0000;
    header.writeBigUInt64LE(content, 1);
  }
  const body = Array.from({ length: blocks }, (_, i) => {
    const block = Buffer.alloc(4);
    block.writeUIntLE((131_072 << 3) | 2 | (i === blocks - 1 ? 1 : 0), 0, 3);
    return block;
  });
  return Buffer.concat([magic, header, ...body]);
}

for (const { name, coder } of all.filter(({ codec }) => codec === 'zstd')) {
  test(`${name}: headers that lie about size are not believed`, () => {
    for (const claimed of [2n ** 60n, 2n ** 36n, 2n ** 32n, 2n ** 31n, BigInt(CAP) + 1n]) {
      const lie = rleFrame(1, claimed);
      cheap(`${claimed}`, () => assert.throws(() => coder.decompress(lie, CAP), typed));
    }
    // Says 100 bytes and brings 1 GiB; says nothing and brings 1 GiB.
    for (const claimed of [100n, BigInt(CAP), undefined]) {
      const lie = rleFrame(8_192, claimed);
      cheap(`${claimed}`, () => assert.throws(() => coder.decompress(lie, CAP), typed));
    }
    // Says the bound exactly, and brings little.
    cheap('short', () =>
      assert.throws(() => coder.decompress(rleFrame(1, BigInt(CAP)), CAP), typed),
    );
    // And an honest one of that kind passes.
    assert.equal(coder.decompress(rleFrame(8, undefined), CAP).byteLength, CAP);
  });
}
