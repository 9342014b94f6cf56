/**
 * Goal: an upstream that fails is never silent. Method: every provider × every dialect × recorded streams with text, reasoning and tools × every cut × every
 * position, from the bytes of the upstream's connection to the frames of the client, against a second reading of the part that came: either the answer is
 * complete or it ends in exactly one failure that names the cause; and what was said is what had come, whole and once.
 * Long streams are sampled in their middle; SLOW=1 takes every byte.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providers } from '../../src/protocol/providers/providers.ts';
import { type Asker, askers, type Understood } from '../support/answers.ts';
import {
  cutStreams,
  judgeCut,
  marksOf,
  type ProviderName,
  recordingOf,
} from '../support/cut-oracle.ts';
import { cuts, PurePipeline, play, UpstreamWire } from '../support/upstream-wire.ts';

const slow = process.env['SLOW'] !== undefined;

/** Both ends, where the finish reason comes, and a sample that is another one for every dialect. */
function* positions(wire: UpstreamWire, finishAt: number, salt: number): Generator<number> {
  for (let at = 0; at <= wire.length; at++) {
    const isEdge = wire.length < 700 || at <= 60 || at >= wire.length - 60;
    const isSampled = at % 151 === salt || Math.abs(wire.bodyBefore(at) - finishAt) < 8;
    if (slow || isEdge || isSampled) yield at;
  }
}

/** Reads of the socket: one, pieces that split everything, single bytes. */
const slicings = [[1 << 20], [97, 1, 260, 13, 700], [1]];

for (const provider of Object.keys(cutStreams) as ProviderName[]) {
  describe(`an upstream that speaks ${provider}`, () => {
    for (const name of cutStreams[provider]) {
      const { body, reads, header } = recordingOf(name);
      const marks = marksOf(provider, body);
      const finishAt = marks.find(({ reason }) => reason !== undefined)?.at ?? -1;

      for (const [dialect, ways] of Object.entries(askers)) {
        for (const [way, asker] of ways.entries()) {
          test(`${name}, cut anywhere in any way: ${dialect}${way ? ' in one piece' : ''} is complete or fails once`, (t) => {
            assert.ok(finishAt > 0, 'the recording is complete');
            let runs = 0;
            const ends = { complete: 0, failed: 0 };
            for (const cut of cuts) {
              const wire = new UpstreamWire(cut, reads, header('content-type') ?? '');
              for (const at of positions(wire, finishAt, 11 * way + dialect.length)) {
                const sizes = slicings[at % (slow || at < 300 ? 3 : 2)];
                const said = one(provider, asker, wire, at, sizes);
                const came = wire.bodyBefore(at);
                const code = wire.codeAt(at);
                try {
                  judgeCut(said, marks, came, code, { whole: way > 0 });
                } catch (thrown) {
                  throw new Error(
                    `${cut} after ${at} bytes (${came} of the body), reads of ${sizes.join()}`,
                    { cause: thrown },
                  );
                }
                if (said.end) ends[said.end]++;
                runs++;
              }
            }
            t.diagnostic(`${runs} cuts: ${JSON.stringify(ends)}`);
            assert.ok(ends.complete > 0 && ends.failed > runs / 3);
          });
        }
      }
    }
  });
}

function one(
  provider: ProviderName,
  asker: Asker,
  wire: UpstreamWire,
  at: number,
  sizes: readonly number[],
): Understood {
  const { encoder, frames } = asker.begin();
  const pipeline = new PurePipeline(providers[provider], encoder);
  play(wire, at, pipeline, sizes);
  assert.equal(pipeline.ends, 1, 'ends that were handed on');
  const said = asker.read(frames);
  assert.ok(said.end, 'no end');
  assert.ok(frames.ended, 'the last frame is the terminal one');
  return said;
}
