/** Goal: merging changes how deltas are cut, never what they say, nor the order of anything. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { MillraceError } from '../../../src/errors.ts';
import { Coalescer } from '../../../src/protocol/coalesce.ts';
import type { DeltaKind, EventSink } from '../../../src/protocol/events.ts';
import { bytesOf } from '../../support/decode.ts';
import { seeded } from '../../support/seed.ts';
import { TraceSink } from '../../support/trace.ts';

type Call =
  | {
      readonly call: 'delta';
      readonly kind: DeltaKind;
      readonly part: number;
      readonly text: string;
    }
  | { readonly call: 'tool'; readonly index: number }
  | { readonly call: 'usage'; readonly outputTokens: number }
  | { readonly call: 'flush' };

/** Each delta lies in bytes of its own that are spoilt after the next flush: what was borrowed must be gone by then. */
function play(calls: readonly Call[], sink: EventSink): void {
  let lent: Uint8Array[] = [];
  for (const call of calls) {
    switch (call.call) {
      case 'delta': {
        const bytes = bytesOf(`<${call.text}>`);
        lent.push(bytes);
        sink.delta(call.kind, call.part, bytes, 1, bytes.length - 1);
        break;
      }
      case 'tool':
        sink.tool(call.index, `id${call.index}`, 'name');
        break;
      case 'usage':
        sink.usage({
          inputTokens: 1,
          cachedTokens: 0,
          outputTokens: call.outputTokens,
          reasoningTokens: 0,
        });
        break;
      case 'flush':
        sink.flush();
        for (const bytes of lent) bytes.fill(0x2a);
        lent = [];
        break;
    }
  }
}

/** Every call as a line, deltas with their text. */
class Lines extends TraceSink {
  readonly lines: string[] = [];
  override delta(
    kind: DeltaKind,
    part: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    super.delta(kind, part, bytes, start, end);
    this.lines.push(`${kind}/${part} ${Buffer.from(bytes.subarray(start, end)).toString()}`);
  }
  override tool(index: number, id: string, name: string): void {
    super.tool(index, id, name);
    this.lines.push(`tool ${index}`);
  }
  override usage(usage: Parameters<EventSink['usage']>[0]): void {
    super.usage(usage);
    this.lines.push(`usage ${usage.outputTokens}`);
  }
  override flush(): void {
    super.flush();
    this.lines.push('flush');
  }
}

const delta = (text: string, kind: DeltaKind = 0, part = 0): Call => ({
  call: 'delta',
  kind,
  part,
  text,
});
const flush: Call = { call: 'flush' };

function linesOf(calls: readonly Call[]): { lines: string[]; merged: number } {
  const sink = new Lines();
  let merged = 0;
  play(calls, new Coalescer(sink, () => merged++));
  return { lines: sink.lines, merged };
}

describe('the coalescer', () => {
  test('hands the first delta out at once, before the read is over, and merges nothing into it', () => {
    assert.deepEqual(linesOf([delta('a')]).lines, ['0/0 a']);
    assert.deepEqual(linesOf([delta('a'), delta('b'), delta('c'), flush]), {
      lines: ['0/0 a', '0/0 bc', 'flush'],
      merged: 1,
    });
  });

  test('merges what came in one read and never waits for the next', () => {
    assert.deepEqual(
      linesOf([delta('a'), flush, delta('b'), delta('c'), delta('d'), flush, delta('e'), flush]),
      { lines: ['0/0 a', 'flush', '0/0 bcd', 'flush', '0/0 e', 'flush'], merged: 2 },
    );
  });

  test('merges one kind and one part only', () => {
    const calls = [
      delta('a'),
      delta('b'),
      delta('c', 1),
      delta('d', 1),
      delta('e', 3, 0),
      delta('f', 3, 1),
      flush,
    ];
    assert.deepEqual(linesOf(calls).lines, ['0/0 a', '0/0 b', '1/0 cd', '3/0 e', '3/1 f', 'flush']);
  });

  test('keeps tool calls and usage in their places', () => {
    const calls: Call[] = [
      delta('a'),
      delta('b'),
      delta('c'),
      { call: 'tool', index: 0 },
      delta('d', 3),
      delta('e', 3),
      { call: 'usage', outputTokens: 2 },
      delta('f', 3),
      flush,
    ];
    assert.deepEqual(linesOf(calls).lines, [
      '0/0 a',
      '0/0 bc',
      'tool 0',
      '3/0 de',
      'usage 2',
      '3/0 f',
      'flush',
    ]);
  });

  test('hands out what waits before an end of either kind', () => {
    for (const end of ['finish', 'fail'] as const) {
      const lines: string[] = [];
      const sink: EventSink = {
        delta: (_kind, _part, bytes, start, stop) =>
          void lines.push(Buffer.from(bytes.subarray(start, stop)).toString()),
        tool() {},
        usage() {},
        flush() {},
        finish: () => void lines.push('finish'),
        fail: () => void lines.push('fail'),
      };
      const coalescer = new Coalescer(sink);
      play([delta('a'), delta('b'), delta('c')], coalescer);
      if (end === 'finish') coalescer.finish('stop');
      else coalescer.fail(new MillraceError('MILLRACE_CANCELLED', {}));
      assert.deepEqual(lines, ['a', 'bc', end]);
    }
  });

  test('passes a delta without a neighbour on as the range it came as', () => {
    const seen: Uint8Array[] = [];
    const sink = new TraceSink();
    const inner = sink.delta.bind(sink);
    sink.delta = (kind, part, bytes, start, end) => {
      seen.push(bytes);
      inner(kind, part, bytes, start, end);
    };
    const coalescer = new Coalescer(sink);
    const [first, second] = [bytesOf('a'), bytesOf('b')];
    coalescer.delta(0, 0, first, 0, 1);
    coalescer.delta(0, 0, second, 0, 1);
    coalescer.flush();
    assert.deepEqual(
      seen.map((it) => it === first || it === second),
      [true, true],
    );
  });

  test('stops merging when its scratch is full, and loses nothing', () => {
    for (const size of [8_191, 8_192, 8_193, 16_384, 16_385]) {
      const text = 'x'.repeat(size);
      const { lines } = linesOf([
        delta('a'),
        delta(text),
        delta('b'),
        delta(text),
        delta('c'),
        delta('d'),
        flush,
      ]);
      const said = lines.filter((line) => line.startsWith('0/0 ')).map((line) => line.slice(4));
      assert.equal(said.join(''), `a${text}b${text}cd`);
      assert.ok(
        said.slice(1).every((it) => it.length <= Math.max(16_384, size)),
        String(size),
      );
    }
  });

  test('has its whole scratch again in the next read', () => {
    const read = [delta('b'.repeat(400)), delta('c'.repeat(400)), flush];
    const calls = [delta('a'), flush, ...Array.from({ length: 100 }, () => read).flat()];
    assert.equal(linesOf(calls).merged, 100);
  });

  test('copies no more than its scratch holds in one read', () => {
    const calls = [...Array.from({ length: 100 }, () => delta('x'.repeat(1_000))), flush];
    const { lines, merged } = linesOf(calls);
    // 16 of 1000 bytes fit into 16 KiB; the others leave as they came.
    assert.equal(merged, 15);
    assert.equal(lines.length, 100 - 15 + 1);
  });

  test('changes no sequence of calls but by merging neighbours', () => {
    const { seed } = seeded('coalesce');
    const text = fc.oneof(
      fc.string({
        unit: fc.constantFrom('a', 'é', '🌊', '\\n', '\\"', '\\u00e9'),
        minLength: 1,
        maxLength: 9,
      }),
      fc.nat({ max: 9_000 }).map((length) => 'y'.repeat(length + 1)),
    );
    const kind = fc.constantFrom<DeltaKind[]>(0, 0, 0, 1, 3);
    const call: fc.Arbitrary<Call> = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.tuple(text, kind, fc.nat({ max: 1 })).map(([it, k, p]) => delta(it, k, p)),
      },
      { weight: 2, arbitrary: fc.constant(flush) },
      { weight: 1, arbitrary: fc.nat({ max: 3 }).map((index): Call => ({ call: 'tool', index })) },
      {
        weight: 1,
        arbitrary: fc.nat({ max: 9 }).map((n): Call => ({ call: 'usage', outputTokens: n })),
      },
    );
    fc.assert(
      fc.property(fc.array(call, { maxLength: 40 }), (calls) => {
        const whole = [...calls, flush];
        const direct = new Lines();
        play(whole, direct);
        const { lines, merged } = linesOf(whole);
        assert.deepEqual(joined(lines), joined(direct.lines));
        assert.equal(lines.length + merged, direct.lines.length);
      }),
      { seed, numRuns: process.env['SLOW'] === undefined ? 1_000 : 50_000 },
    );
  });
});

/** Neighbouring deltas of one kind and part as one line. */
function joined(lines: readonly string[]): string[] {
  const out: string[] = [];
  for (const line of lines) {
    const head = /^\d\/\d /.exec(line)?.[0];
    const last = out.at(-1);
    if (head !== undefined && last?.startsWith(head) === true)
      out[out.length - 1] = last + line.slice(head.length);
    else out.push(line);
  }
  return out;
}
