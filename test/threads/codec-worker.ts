/** A thread of native.test.ts: works with every codec and a dictionary, says that it began, ends by itself or goes on until it is terminated. */
import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { codecNames, levels } from '../../src/codec/codec.ts';
import { loadSource } from '../../src/codec/sources.ts';

const { forever, shared } = workerData as { forever: boolean; shared: Uint8Array };
const { source, reason } = loadSource('native');
assert.ok(source, reason);
const dictionary = { hash: 'of this thread', bytes: shared.slice(0, 2_000) };
const output = new Uint8Array(shared.byteLength * 2);

function work(): void {
  for (const codec of codecNames) {
    const coder = source?.coders[codec];
    assert.ok(coder);
    const given = coder.claims.dictionary ? dictionary : undefined;
    // All threads read the same shared bytes, which nobody writes.
    const length = coder.compressInto(shared, output, levels[codec].normal, given);
    const back = coder.decompress(output.subarray(0, length), shared.byteLength, given);
    assert.ok(Buffer.compare(back, shared) === 0, codec);
  }
}

work();
parentPort?.postMessage('worked');
if (forever) setInterval(work, 0);
