// @ts-check
/**
 * Trains the dictionaries of src/codec/dictionaries on frames that the project makes itself: simulated answers through each dialect's
 * encoder, from seeds, so that the same sources give the same bytes. Needs the native addon (npm run build:native). Prints the row of
 * src/codec/dictionary-table.ts for each; a dictionary that changes gets the next version, and the former one stays.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** @type {typeof import('../src/codec/native-addon.ts')} */
const { loadAddon } = await import('../dist/src/codec/native-addon.js');
/** @type {typeof import('../bench/support/dialect-frames.ts')} */
const { framedDialects, framesOf, simulatedBody } = await import(
  '../dist/bench/support/dialect-frames.js'
);

const VERSION = 1;
const SEED = 1;
const ANSWERS = 400;
/** More makes the offsets into it longer, and tokens with them. */
const BYTES = 4_096;
/** What tokens are compressed with (src/codec/dictionaries.ts). */
const LEVEL = 4;

const folder = fileURLToPath(new URL('../src/codec/dictionaries/', import.meta.url));
const addon = loadAddon();
if (typeof addon === 'string') {
  process.stderr.write(`dictionaries are trained by the native addon: ${addon}\n`);
  process.exit(1);
}
for (const [at, dialect] of framedDialects.entries()) {
  const frames = Array.from({ length: ANSWERS }, (_, number) =>
    framesOf(dialect, simulatedBody(SEED, number), number),
  ).flat();
  const sizes = Uint32Array.from(frames, ({ byteLength }) => byteLength);
  const output = new Uint8Array(BYTES);
  // Below 256 a frame names it with one byte; they are nobody else's business (RFC 8878 section 6).
  const number = 8 * VERSION + at;
  const length = addon.trainDictionary(Buffer.concat(frames), sizes, output, LEVEL, number);
  if (length <= 0) throw new Error(`training answered ${length}`);
  const bytes = output.subarray(0, length);
  const hash = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(`${folder}${dialect}-${VERSION}.zdict`, bytes);
  process.stdout.write(`{ dialect: '${dialect}', version: ${VERSION}, hash: '${hash}' }\n`);
}
