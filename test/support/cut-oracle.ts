/**
 * What a client may have understood of a recorded stream that was cut: a second reading of the part that came, event by event. Written to be obvious; the readings
 * themselves are in reference-streams and reference-chat.
 */
import assert from 'node:assert/strict';
import type { providers } from '../../src/protocol/providers/providers.ts';
import { type Content, contentOf, type Understood } from './answers.ts';
import { type Recording, recordings } from './recordings.ts';
import { referenceTrace } from './reference-chat.ts';
import { referenceStream } from './reference-streams.ts';

/** Text, reasoning before text, calls of tools; the shortest that were recorded. */
export const cutStreams = {
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

export type ProviderName = keyof typeof cutStreams;

/** What had been said when so many bytes of the body had come. */
export interface Mark {
  readonly at: number;
  readonly content: Content;
  /** A finish reason, or undefined while none came. */
  readonly reason: string | undefined;
}

/** After each event or line: the second reading of all that came before. */
export function marksOf(provider: ProviderName, body: Uint8Array): Mark[] {
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

/** What may differ from the plain case. */
export interface Leniency {
  /** It answers whole or not at all: a failure has no content. */
  readonly whole?: boolean;
  /** The end of what came may have been lost with the connection. */
  readonly mayLose?: boolean;
}

/** After `came` bytes of the body: complete, or failed with `code`; and all that was said is what had come. */
export function judgeCut(
  said: Understood,
  marks: readonly Mark[],
  came: number,
  code: string,
  { whole = false, mayLose = false }: Leniency,
): void {
  const { end, code: complaint, ...content } = said;
  const { last, next } = marksAt(marks, came);
  const isSaid = (mark: Mark | undefined) => {
    if (mark === undefined) return false;
    if (end !== (mark.reason === undefined ? 'failed' : 'complete')) return false;
    return whole && end === 'failed' ? true : same(content, mark.content);
  };
  const isLess = mayLose && marks.some((mark) => mark.at <= came && isSaid(mark));
  assert.ok(
    isLess || isSaid(last) || isSaid(next),
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

let all: readonly Recording[] | undefined;

export function recordingOf(name: string): Recording {
  all ??= recordings();
  const found = all.find((it) => it.name === name);
  assert.ok(found, name);
  return found;
}
