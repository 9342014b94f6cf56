/**
 * Goal: an upstream that fails is never silent. Method: every provider × every dialect × recorded streams with text, reasoning and tools × every cut × every
 * position, from the bytes of the upstream's connection to the frames of the client, against a second reading of the part that came: either the answer is
 * complete or it ends in exactly one failure that names the cause; and what was said is what had come, whole and once.
 * Long streams are sampled in their middle; SLOW=1 takes every byte.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providers } from '../../src/protocol/providers/providers.ts';
import {
  type Asker,
  askers,
  type Content,
  contentOf,
  type Understood,
} from '../support/answers.ts';
import { type Recording, recordings } from '../support/recordings.ts';
import { referenceTrace } from '../support/reference-chat.ts';
import { referenceStream } from '../support/reference-streams.ts';
import { cuts, PurePipeline, play, UpstreamWire } from '../support/upstream-wire.ts';

const slow = process.env['SLOW'] !== undefined;

/** Text, reasoning before text, calls of tools; the shortest that were recorded. */
const streams = {
  'openai-chat': ['ollama/chat-length', 'litellm/chat-reasoning', 'ollama/chat-tools'],
  'openai-responses': [
    'llama-server/responses-length',
    'llama-server/responses-reasoning',
    'llama-server/responses-tools',
  ],
  anthropic: [
    'llama-server/messages-plain',
    'llama-server/messages-thinking',
    'llama-server/messages-tools',
  ],
  ollama: ['ollama/api-chat-unicode', 'ollama/api-chat-thinking', 'ollama/api-chat-tools'],
} satisfies Record<keyof typeof providers, readonly string[]>;

type ProviderName = keyof typeof streams;

/** What had been said when so many bytes of the body had come. */
interface Mark {
  readonly at: number;
  readonly content: Content;
  /** A finish reason, or undefined while none came. */
  readonly reason: string | undefined;
}

/** After each event or line: the second reading of all that came before. */
function marksOf(provider: ProviderName, body: Uint8Array): Mark[] {
  const text = Buffer.from(body).toString('latin1');
  const separator = provider === 'ollama' ? /\n/g : /\r?\n\r?\n/g;
  const ends = [
    0,
    ...[...text.matchAll(separator)].map(({ index, 0: { length } }) => index + length),
  ];
  return ends.map((at) => {
    const came = body.subarray(0, at);
    const { steps, end } =
      provider === 'openai-chat' ? referenceTrace(came) : referenceStream(provider, came);
    const reason = end === 'MILLRACE_UPSTREAM_TRUNCATED' ? undefined : end;
    return { at, content: contentOf(steps), reason };
  });
}

/** The mark that holds after so many bytes; `next`, when of the event after it only (a part of) its end is missing. */
function marksAt(marks: readonly Mark[], came: number): { last: Mark; next: Mark | undefined } {
  let low = 0;
  let high = marks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (marks[middle].at <= came) low = middle;
    else high = middle - 1;
  }
  const next = marks[low + 1] as Mark | undefined;
  return { last: marks[low], next: next && came >= next.at - END_BYTES_MAX ? next : undefined };
}

/** Line end and empty line. */
const END_BYTES_MAX = 4;

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

function judge(
  said: Understood,
  marks: readonly Mark[],
  came: number,
  code: string,
  whole: boolean,
): void {
  const { end, code: complaint, ...content } = said;
  const { last, next } = marksAt(marks, came);
  const isSaid = (mark: Mark | undefined) => {
    if (mark === undefined) return false;
    if (end !== (mark.reason === undefined ? 'failed' : 'complete')) return false;
    return whole && end === 'failed' ? true : same(content, mark.content);
  };
  assert.ok(
    isSaid(last) || isSaid(next),
    `${JSON.stringify(said)} is not ${JSON.stringify([last, next])}`,
  );
  if (end === 'failed') assert.equal(complaint, code.slice('MILLRACE_'.length).toLowerCase());
}

function same(a: Content, b: Content): boolean {
  return (
    a.text === b.text &&
    a.reasoning === b.reasoning &&
    a.refusal === b.refusal &&
    a.calls.length === b.calls.length &&
    a.calls.every(({ name, args }, at) => name === b.calls[at].name && args === b.calls[at].args)
  );
}

function recordingOf(name: string): Recording {
  const found = recordings().find((it) => it.name === name);
  assert.ok(found, name);
  return found;
}

for (const provider of Object.keys(streams) as ProviderName[]) {
  describe(`an upstream that speaks ${provider}`, () => {
    for (const name of streams[provider]) {
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
                  judge(said, marks, came, code, way > 0);
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
