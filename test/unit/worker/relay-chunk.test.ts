/**
 * Goal: stage ⑤ cuts the text of an answer into pieces of graphemes and lets them leave in a rhythm, for the dialects that ask for it;
 * nothing is lost, late or reordered by it. Method: the relay in one thread with upstreams a test plays; the stage alone before a sink
 * that checks.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import type { Encoder } from '../../../src/protocol/dialect.ts';
import { Delta } from '../../../src/protocol/events.ts';
import { ChunkStage } from '../../../src/worker/chunk.ts';
import { rig } from '../../support/relay-rig.ts';
import { TraceSink } from '../../support/trace.ts';

const upstreams = [{ name: 'one', url: 'http://one.test/v1' }];
const chunks = (chunkSize: number, delayMs: number) => ({
  upstreams,
  chunks: { responses: { chunkSize, delayMs } },
});

type Relay = ReturnType<typeof rig>;

function deltas(r: Relay, turn: number): string[] {
  const events = r.events(turn).filter(({ type }) => type === 'response.output_text.delta');
  return events.map(({ delta }) => String(delta));
}

async function asked(options: object) {
  const r = rig({ options });
  r.open(1);
  const turn = r.ask(1);
  await r.settle();
  r.transport.last.sent().head();
  return { r, turn, last: r.transport.last };
}

describe('text in pieces', () => {
  test('of at most so many graphemes, each at once, the same text in the same order', async () => {
    const { r, turn, last } = await asked(chunks(5, 0));
    last.say('The first delta goes in pieces too. ').say('Größe 👨‍👩‍👧‍👦🏳️‍🌈 e\u0301clair');
    last.say('x').say('y');
    await r.settle();
    const found = deltas(r, turn);
    assert.equal(
      found.join(''),
      'The first delta goes in pieces too. Größe 👨‍👩‍👧‍👦🏳️‍🌈 e\u0301clairxy',
    );
    assert.deepEqual(found.slice(0, 3), ['The f', 'irst ', 'delta']);
    for (const piece of found)
      assert.ok([...new Intl.Segmenter().segment(piece)].length <= 5, piece);
    assert.ok(found.some((piece) => piece.includes('👨‍👩‍👧‍👦🏳️‍🌈')));
    assert.deepEqual(found.slice(-2), ['x', 'y'], 'no piece waits to be full');
    last.stop().done().end();
    await r.settle();
    assert.deepEqual(r.end(turn), { type: 'response.completed', code: undefined });
    r.assertIdle();
  });

  test('a dialect that is not named, and one without an entry, is left alone', async () => {
    const options = { upstreams, chunks: { chat: { chunkSize: 1 } } };
    const { r, turn, last } = await asked(options);
    last.answer('one delta of many characters');
    last.say('one delta of many characters').stop().done().end();
    await r.settle();
    assert.deepEqual(deltas(r, turn), ['one delta of many characters']);
  });

  test('what an upstream cut inside of a grapheme leaves whole; the first content waits for nothing', async () => {
    const { r, turn, last } = await asked(chunks(20, 0));
    last.say('👩');
    await r.settle();
    assert.deepEqual(deltas(r, turn), ['👩']);
    last.say('\u200d💻 at work 👩');
    await r.settle();
    assert.deepEqual(deltas(r, turn).slice(1), ['\u200d💻 at work ']);
    last.say('🏽\u200d');
    await r.settle();
    assert.equal(deltas(r, turn).length, 2);
    last.say('🔧, 🇩');
    await r.settle();
    assert.deepEqual(deltas(r, turn).slice(2), ['👩🏽\u200d🔧, ']);
    last.stop().done().end();
    await r.settle();
    assert.equal(r.text(turn), '👩\u200d💻 at work 👩🏽\u200d🔧, 🇩');
    assert.equal(r.end(turn).type, 'response.completed');
  });

  test('what waits for its rest is said before a failure, too', async () => {
    const { r, turn, last } = await asked(chunks(20, 0));
    last.say('Hello').say(' 👩');
    await r.settle();
    last.fail();
    await r.settle();
    assert.equal(r.text(turn), 'Hello 👩');
    assert.equal(r.end(turn).type, 'response.failed');
    r.assertIdle();
  });
});

describe('text in a rhythm', () => {
  test('a piece leaves at least so long after the one before; the end after the last', async () => {
    const { r, turn, last } = await asked(chunks(4, 50));
    last.say('abcdefghijklmnopqrst').stop().done().end();
    await r.settle();
    const times: number[] = [];
    for (let ms = 0; ms <= 300; ms += 5) {
      while (times.length < deltas(r, turn).length) times.push(ms);
      if (ms === 195) assert.ok(!r.hasEnd(turn), 'the end waits for its text');
      await r.pass(5);
    }
    assert.deepEqual(deltas(r, turn), ['abcd', 'efgh', 'ijkl', 'mnop', 'qrst']);
    assert.deepEqual(times, [0, 50, 100, 150, 200]);
    assert.equal(r.end(turn).type, 'response.completed');
    r.assertIdle();
  });

  test('a faster upstream is paused, and an upstream that is slower is not made slower', async () => {
    const { r, turn, last } = await asked(chunks(4, 50));
    last.say('abcdefgh');
    await r.settle();
    assert.ok(last.paused);
    last.say('ijkl');
    await r.pass(50);
    assert.deepEqual(deltas(r, turn), ['abcd', 'efgh']);
    await r.pass(200);
    assert.deepEqual(deltas(r, turn), ['abcd', 'efgh', 'ijkl']);
    assert.ok(!last.paused);
    last.say('mnop');
    await r.settle();
    assert.deepEqual(deltas(r, turn).at(-1), 'mnop', 'at once');
    last.stop().done().end();
    await r.settle();
    assert.equal(r.end(turn).type, 'response.completed');
  });

  test('a turn on the same lane begins after the last piece', async () => {
    const { r, turn, last } = await asked(chunks(4, 50));
    const second = r.ask(1);
    last.say('abcdefghijkl').stop().done().end();
    await r.pass(50);
    assert.equal(r.of(second).length, 0);
    await r.pass(200);
    assert.ok(r.hasEnd(turn));
    assert.ok(r.of(second).length > 0);
    r.transport.last.answer('x');
    await r.settle();
    assert.deepEqual(r.end(second), { type: 'response.completed', code: undefined });
    r.assertIdle();
  });

  test('a cancel waits for nothing: what was made leaves, then the end', async () => {
    const { r, turn, last } = await asked(chunks(4, 1000));
    last.say('abcdefghijklmnop');
    await r.settle();
    assert.deepEqual(deltas(r, turn), ['abcd']);
    const id = r.epitaphs[0].text.match(/resp_\w+/)?.[0];
    r.send(1, { type: 'response.cancel', response_id: id });
    await r.settle();
    assert.equal(r.text(turn), 'abcdefghijklmnop');
    assert.ok(r.hasEnd(turn));
    assert.ok(last.cancelled);
    r.assertIdle();
  });

  test('a client that leaves in the middle leaves nothing behind', async () => {
    const { r, last } = await asked(chunks(4, 1000));
    last.say('abcdefghijklmnop');
    await r.settle();
    const armed = r.world.timers;
    r.leave(1);
    await r.settle();
    assert.ok(last.cancelled);
    r.assertIdle();
    assert.ok(r.world.timers <= armed);
  });
});

describe('the stage alone', () => {
  function stage() {
    const sink = new TraceSink();
    let steps = 0;
    let hurried = 0;
    const encoder = Object.assign(sink, {
      sequence: 0,
      committed: true,
      from: () => {},
      cancel: () => {},
      epitaph: () => ({ bytes: new Uint8Array(0), at: -1 }),
    }) as unknown as Encoder;
    const rhythm = { step: () => void steps++, hurry: () => void hurried++ };
    const made = new ChunkStage(encoder, 3, rhythm);
    const say = (text: string, kind: (typeof Delta)[keyof typeof Delta] = Delta.text, part = 0) => {
      const bytes = Buffer.from(`"${text}"`);
      made.delta(kind, part, bytes, 1, bytes.length - 1);
      made.flush();
      bytes.fill(0x2a);
    };
    return { sink, made, say, steps: () => steps, hurried: () => hurried };
  }

  test('what waits is said before anything of another kind, before another upstream goes on, and before the end', () => {
    const { sink, made, say } = stage();
    say('a👩');
    say('thought 🇩', Delta.reasoning);
    say('b👩');
    made.tool(0, 'id', 'name');
    say('{\\"a\\":1}', Delta.arguments);
    say('c👩');
    made.from('two', 2, true);
    assert.deepEqual(sink.steps.at(-1), { text: 'c👩', kind: Delta.text, part: 0 });
    say('d👩');
    made.finish('stop');
    assert.deepEqual(
      sink.steps.map((step) => ('text' in step ? step.text : step.name)),
      ['a👩', 'thought 🇩', 'b👩', 'name', '{"a":1}', 'c👩d👩'],
    );
    assert.equal(sink.end, 'stop');
  });

  test('arguments are never cut; each piece is a step; failures and cancels hurry', () => {
    const { sink, made, say, steps, hurried } = stage();
    say('{\\"long\\":\\"arguments\\"}', Delta.arguments);
    assert.equal(sink.deltas, 1);
    say('abcdefg');
    assert.equal(sink.deltas, 4);
    assert.equal(steps(), 4);
    made.cancel();
    made.fail(new MillraceError('MILLRACE_CLOSED', {}));
    assert.equal(hurried(), 2);
  });
});
