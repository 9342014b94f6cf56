/**
 * Goal: a byte that changed on the way never takes text out of an answer that looks whole. Method: every provider's recorded streams, each byte inverted, and each
 * single bit of the bytes that frame events: the decoder fails, or says exactly what it says of the stream as it was. (A bit that makes another valid member name or
 * another letter of a text is beyond what any reader can know.) Long streams are sampled; SLOW=1 takes every byte.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providers } from '../../src/protocol/providers/providers.ts';
import { cutStreams, type ProviderName, recordingOf } from '../support/cut-oracle.ts';
import { TraceSink } from '../support/trace.ts';

const STEP = process.env['SLOW'] ? 1 : 13;
const bounds = { eventBytesMax: 1 << 20, partsMax: 16 };

function traceOf(provider: ProviderName, body: Uint8Array) {
  const sink = new TraceSink();
  const decoder = providers[provider].decoder('u', sink, bounds);
  decoder.push(body);
  decoder.close();
  return sink.trace;
}

/** Field names with their colon, and line ends: where a change makes another line of a line. */
function framingOf(body: Uint8Array): number[] {
  const text = Buffer.from(body).toString('latin1');
  return [...text.matchAll(/(?:^|(?<=\n))(?:data|event):|\n/g)].flatMap(
    ({ index, 0: { length } }) => Array.from({ length }, (_, at) => index + at),
  );
}

for (const provider of Object.keys(cutStreams) as ProviderName[]) {
  describe(`an upstream that speaks ${provider}`, () => {
    for (const name of cutStreams[provider]) {
      const { body } = recordingOf(name);
      const framing = provider === 'ollama' ? [] : framingOf(body);
      const whole = traceOf(provider, body);
      const content = JSON.stringify(whole.steps);

      /** Whether the stream with that byte changed failed. */
      const failsWith = (at: number, mask: number): boolean => {
        const changed = Buffer.from(body);
        changed[at] ^= mask;
        const { steps, end } = traceOf(provider, changed);
        if (end?.startsWith('MILLRACE_')) return true;
        if (JSON.stringify(steps) !== content)
          assert.fail(
            `byte ${at} ^ ${mask}: ${end}, and not all of it was said: …${changed.subarray(Math.max(0, at - 20), at + 20).toString('latin1')}…`,
          );
        return false;
      };

      test(`${name}: any inverted byte is noticed or means nothing`, () => {
        let failed = 0;
        const sampled = new Set(framing.length > 600 && STEP > 1 ? framing.slice(-600) : framing);
        for (let at = 0; at < body.length; at += STEP) sampled.add(at);
        for (const at of sampled) if (failsWith(at, 0xff)) failed++;
        assert.ok(failed > sampled.size / 2, `${failed} of ${sampled.size}`);
      });

      // Lines of JSON have no frame but their end.
      if (framing.length === 0) continue;
      test(`${name}: any bit of what frames events is noticed or means nothing`, () => {
        const step = STEP > 1 ? Math.ceil(framing.length / 300) : 1;
        let failed = 0;
        for (let i = 0; i < framing.length; i += step)
          for (let bit = 0; bit < 8; bit++) if (failsWith(framing[i], 1 << bit)) failed++;
        assert.ok(failed > 0);
      });
    }
  });
}
