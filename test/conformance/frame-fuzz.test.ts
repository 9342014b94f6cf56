/** Frames as nobody should send them: good ones, damaged at random. The server may end the session; it may not fall over, hang or leak. SLOW=1 runs many. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { implementations, serve } from '../support/backend/serve.ts';
import { open } from '../support/client.ts';
import { closePayload, frame, RawClient } from '../support/raw-client.ts';
import { seeded } from '../support/seed.ts';
import { until } from '../support/until.ts';

const SESSIONS = process.env['SLOW'] ? 10_000 : 400;
const AT_ONCE = 50;

type Random = () => number;

/** Less than `most`. */
const below = (next: Random, most: number) => Math.floor(next() * most);

function anyFrame(next: Random): Buffer {
  const code = [0, 1, 2, 8, 9, 10][below(next, 6)];
  const control = code >= 8;
  const length = [0, 1, 5, 125, 126, 300, 70_000][below(next, control ? 4 : 7)];
  const payload = Buffer.from(Array.from({ length }, () => below(next, 128)));
  return frame({
    opcode: code,
    payload: code === 8 && next() < 0.5 ? closePayload(1000 + below(next, 20)) : payload,
    fin: control || next() < 0.7,
  });
}

/** Flips, cuts, repeats or inserts a few bytes. */
function damaged(next: Random, bytes: Buffer): Buffer {
  const at = below(next, bytes.length + 1);
  const kind = below(next, 4);
  if (kind === 0) return bytes.subarray(0, at);
  if (kind === 1)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - 8))]);
  if (kind === 2) {
    const noise = Buffer.from(Array.from({ length: 1 + below(next, 6) }, () => below(next, 256)));
    return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
  }
  const copy = Buffer.from(bytes);
  // Mostly heads: that is where a parser decides.
  const place =
    next() < 0.8 ? below(next, Math.min(14, copy.length)) : at % Math.max(1, copy.length);
  if (copy.length > 0) copy[place] ^= 1 << below(next, 8);
  return copy;
}

for (const implementation of implementations) {
  const { label, missing } = implementation;
  describe(`damaged frames over ${label}`, { skip: missing ?? false }, () => {
    it(`${SESSIONS} sessions end, and the server goes on`, async (t) => {
      const { next } = seeded(`damaged frames over ${label}`);
      const served = await serve(t, implementation, {}, { messageBytesMax: 100_000 });
      for (let done = 0; done < SESSIONS; done += AT_ONCE) {
        const clients = await Promise.all(
          Array.from({ length: AT_ONCE }, () => RawClient.open(served.port)),
        );
        for (const client of clients) {
          const frames = Array.from({ length: 1 + below(next, 6) }, () => anyFrame(next));
          const whole = Buffer.concat(frames);
          const bytes = next() < 0.9 ? damaged(next, whole) : whole;
          const cut = below(next, bytes.length + 1);
          client.write(bytes.subarray(0, cut));
          client.write(bytes.subarray(cut));
        }
        await new Promise((resolve) => setTimeout(resolve, 10)); // the resets must not outrun the bytes
        for (const client of clients) client.reset();
        const over = () => served.closes.length === served.connections.length;
        await until(over, 'every session’s close', 2_000);
      }
      assert.ok(served.connections.every((connection) => !connection.open));
      assert.deepEqual(served.faults, []);
      const healthy = await open(served.url);
      healthy.send('fine');
      assert.equal((await healthy.next()).text, 'fine');
    });
  });
}
