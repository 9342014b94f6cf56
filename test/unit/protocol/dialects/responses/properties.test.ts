/** Any sequence of events: every frame parses, the numbers have no gap, the text is whole, and there is one end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MillraceError } from '../../../../../src/errors.ts';
import { type Encoder, FrameFlag } from '../../../../../src/protocol/dialect.ts';
import { dialects } from '../../../../../src/protocol/dialects/dialects.ts';
import { Delta, type DeltaKind } from '../../../../../src/protocol/events.ts';
import { Dialogue, delta, type Frame, type Json } from '../../../../support/dialogue.ts';
import { seeded } from '../../../../support/seed.ts';

type Event =
  | { do: 'delta'; kind: DeltaKind; text: string; call: number }
  | { do: 'tool'; call: number; id: string; name: string }
  | { do: 'usage'; tokens: number };
type End = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'cancel' | 'fail';

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 });
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('delta' as const),
      kind: fc.constantFrom(...Object.values(Delta)),
      text,
      call: fc.nat(3),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('tool' as const),
      call: fc.nat(3),
      id: fc.string({ maxLength: 8 }),
      name: fc.string({ minLength: 1, unit: 'grapheme', maxLength: 12 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('usage' as const), tokens: fc.nat(1e6) }),
  },
);
const ends = fc.constantFrom<End>(
  'stop',
  'length',
  'tool_calls',
  'content_filter',
  'cancel',
  'fail',
);

function feed(encoder: Encoder, events: readonly Event[], end: End): string {
  const calls = new Set<number>();
  let sent = '';
  for (const event of events) {
    if (event.do === 'usage') {
      const outputTokens = event.tokens;
      encoder.usage({ inputTokens: 1, cachedTokens: 0, outputTokens, reasoningTokens: 0 });
    } else if (event.do === 'tool') {
      calls.add(event.call);
      encoder.tool(event.call, event.id, event.name);
    } else if (event.kind !== Delta.arguments) {
      delta(encoder, event.kind, event.text);
      sent += event.text;
    } else if (calls.has(event.call)) {
      delta(encoder, event.kind, event.text, event.call);
      sent += event.text;
    }
    encoder.flush();
  }
  if (end === 'cancel') encoder.cancel();
  else if (end === 'fail') encoder.fail(new MillraceError('MILLRACE_CLOSED', {}));
  else encoder.finish(end);
  return sent;
}

function said(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** Text by (item, part), as the events tell it. */
function collect(frames: readonly Frame[], step: 'delta' | 'done'): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { json } of frames) {
    const [, field] = /(text|refusal|arguments)\.(?:delta|done)$/.exec(String(json['type'])) ?? [];
    if (field === undefined || !String(json['type']).endsWith(step)) continue;
    const key = `${said(json['item_id'])}/${said(json['content_index'])}`;
    const piece = String(json[step === 'delta' ? 'delta' : field]);
    assert.ok(step === 'delta' || !texts.has(key), 'one done for each part');
    texts.set(key, (texts.get(key) ?? '') + piece);
  }
  return texts;
}

function outputTexts(output: readonly Json[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const item of output) {
    if (item['type'] === 'function_call')
      texts.set(`${said(item['id'])}/`, String(item['arguments']));
    for (const [index, part] of ((item['content'] ?? []) as Json[]).entries())
      texts.set(`${said(item['id'])}/${index}`, String(part['text'] ?? part['refusal']));
  }
  return texts;
}

function checkShape(frames: readonly Frame[]): void {
  frames.forEach((frame, index) => {
    assert.equal(frame.sequence, index);
    assert.equal(frame.json['sequence_number'], index);
    assert.equal(frame.json['stream_id'], 'a');
    assert.equal((frame.flags & FrameFlag.opener) !== 0, index < 2);
    assert.equal((frame.flags & FrameFlag.terminal) !== 0, index === frames.length - 1);
    assert.equal((frame.flags & FrameFlag.commit) !== 0, index === 2 && frames.length > 3);
  });
}

test('any answer is well-formed, gapless, whole and ends once', () => {
  const { seed } = seeded('responses');
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), ends, (events, end) => {
      const make = () => {
        const ask = { type: 'response.create', model: 'm', input: 'x', stream_id: 'a' };
        const running = new Dialogue(dialects.responses).run(ask);
        return { sent: feed(running.encoder, events, end), frames: running.out.frames };
      };
      const { sent, frames } = make();
      checkShape(frames);
      const deltas = collect(frames, 'delta');
      const piecewise = frames.map(({ json }) => said(json['delta'])).join('');
      assert.equal(piecewise, sent, 'every delta once, in order');
      const object = frames.at(-1)?.json['response'] as Json;
      const whole = outputTexts(object['output'] as Json[]);
      for (const [key, text] of whole) assert.equal(text, deltas.get(key) ?? '', key);
      for (const key of deltas.keys()) assert.ok(whole.has(key));
      if (end !== 'cancel' && end !== 'fail') {
        for (const [key, text] of collect(frames, 'done')) assert.equal(text, whole.get(key), key);
        const added = frames.filter(({ json }) => /item\.added$/.test(String(json['type'])));
        const done = frames.filter(({ json }) => /item\.done$/.test(String(json['type'])));
        assert.equal(done.length, added.length);
      }
      assert.deepEqual(
        make().frames.map((frame) => frame.text),
        frames.map((frame) => frame.text),
      );
    }),
    { seed, numRuns: process.env['SLOW'] ? 10_000 : 300 },
  );
});

test('a chat answer is well-formed, whole and ends once', () => {
  const { seed } = seeded('chat');
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), ends, (events, end) => {
      const { encoder, out } = new Dialogue(dialects.chat).run({ message: 'x' });
      const sent = feed(encoder, events, end);
      const pieces = out.frames.map(({ json }) => {
        const tool = json['tool'] as Json | undefined;
        return said(json['content']) + said(json['reasoning']) + said(tool?.['arguments']);
      });
      assert.equal(pieces.join(''), sent);
      out.frames.forEach(({ json, sequence, flags }, index) => {
        const last = index === out.frames.length - 1;
        assert.equal(sequence, index);
        assert.equal(json['done'], last);
        assert.equal((flags & FrameFlag.terminal) !== 0, last);
        assert.equal((flags & FrameFlag.commit) !== 0, index === 0 && !last);
      });
    }),
    { seed, numRuns: process.env['SLOW'] ? 10_000 : 300 },
  );
});
