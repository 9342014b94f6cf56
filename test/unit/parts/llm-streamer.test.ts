/**
 * Goal: the part gives a text in whole characters, in its rhythm, to whoever asks, holds its source back, and leaves nothing behind.
 * Method: a simulated time; sources that say when they were pulled; random texts and interleavings from one seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import { LlmStreamer, type LlmStreamerOptions } from '../../../src/parts/llm-streamer.ts';
import { seeded } from '../../support/seed.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';

function rig(options: LlmStreamerOptions = {}) {
  const world = new SimulatedWorld();
  const time = {
    now: () => world.clock.now(),
    after: (ms: number, task: () => void) => world.ticker.after(ms, task),
  };
  const streamer = new LlmStreamer({ time, ...options });
  /** What a reader gets who asks as soon as it has, with the time since the start. */
  const read = (id: string) => {
    const startMs = world.clock.now();
    const got: [ms: number, chunk: string][] = [];
    let end: unknown = 'runs';
    const run = async () => {
      for (let chunk = await streamer.nextChunk(id); chunk !== undefined; ) {
        got.push([world.clock.now() - startMs, chunk]);
        chunk = await streamer.nextChunk(id);
      }
    };
    const watch = async () => {
      try {
        await run();
        end = 'ended';
      } catch (thrown) {
        end = thrown;
      }
    };
    void watch();
    return { got, end: () => end };
  };
  return { world, streamer, read };
}

/** A source that gives what a test puts, one item at a pull. */
function source() {
  const state = { pulled: 0, returned: 0 };
  const items: IteratorResult<string>[] = [];
  let waiting: { give(item: IteratorResult<string>): void; fail(error: unknown): void } | undefined;
  const iterable: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        state.pulled += 1;
        const item = items.shift();
        if (item) return Promise.resolve(item);
        return new Promise((give, fail) => {
          waiting = { give, fail };
        });
      },
      return: () => {
        state.returned += 1;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  const put = (item: IteratorResult<string>) => {
    if (waiting) waiting.give(item);
    else items.push(item);
    waiting = undefined;
  };
  return {
    state,
    iterable,
    say: (text: string) => put({ done: false, value: text }),
    end: () => put({ done: true, value: undefined }),
    fail: (error: unknown) => waiting?.fail(error),
  };
}

const isCode = (code: string) => (thrown: unknown) =>
  thrown instanceof MillraceError && thrown.code === code;

test('without options: 20 characters every 50 ms, the first at once, the end behind the last', async () => {
  const { world, streamer, read } = rig();
  const id = streamer.startStream('This is a long LLM response that will be streamed...');
  const { got, end } = read(id);
  await world.pass(200);
  assert.deepEqual(got, [
    [0, 'This is a long LLM r'],
    [50, 'esponse that will be'],
    [100, ' streamed...'],
  ]);
  assert.equal(end(), 'ended');
  assert.deepEqual(streamer.endStream(id), { chunks: 3, characters: 52, durationMs: 200 });
  assert.equal(world.timers, 0);
});

test('a reader who comes later than its piece waits for nothing', async () => {
  const { world, streamer } = rig({ chunkSize: 2, delayMs: 50 });
  const id = streamer.startStream('abcdef');
  assert.equal(await streamer.nextChunk(id), 'ab');
  await world.pass(70);
  assert.equal(await streamer.nextChunk(id), 'cd');
  await world.pass(20);
  const third = streamer.nextChunk(id);
  await world.pass(29);
  assert.equal(await Promise.race([third, Promise.resolve('early')]), 'early');
  await world.pass(1);
  assert.equal(await third, 'ef');
});

test('characters stay whole, also where a source cuts them', async () => {
  const { world, streamer, read } = rig({ chunkSize: 1, delayMs: 0 });
  const family = '👨‍👩‍👧‍👦';
  const { iterable, say, end } = source();
  const reader = read(streamer.startStream(iterable));
  // Between the halves of a pair, behind a joiner, between the letters of a flag.
  for (const part of [family.slice(0, 1), family.slice(1, 3), family.slice(3), '🇩', '🇪', 'e']) {
    say(part);
    await world.settle();
  }
  end();
  await world.settle();
  assert.deepEqual(
    reader.got.map(([, chunk]) => chunk),
    [family, '🇩🇪', 'e'],
  );
  assert.equal(reader.end(), 'ended');
});

test('pieces are given as soon as there is text: nothing waits for a piece to be full', async () => {
  const { world, streamer, read } = rig({ chunkSize: 10, delayMs: 0 });
  const { iterable, say } = source();
  const { got } = read(streamer.startStream(iterable));
  say('abc');
  await world.settle();
  assert.deepEqual(got, [[0, 'abc']]);
});

test('a source is pulled while less than bufferSize waits, and again when there is room', async () => {
  const { world, streamer } = rig({ chunkSize: 5, delayMs: 0, bufferSize: 12 });
  const { iterable, say, state } = source();
  const id = streamer.startStream(iterable);
  for (let at = 0; at < 10; at++) say('12345');
  await world.settle();
  assert.equal(state.pulled, 3, '15 units wait');
  assert.equal(await streamer.nextChunk(id), '12345');
  await world.settle();
  assert.equal(state.pulled, 4);
  // One item may be larger than all of it, and a character that is not whole may fill it.
  const tiny = rig({ chunkSize: 5, delayMs: 0, bufferSize: 1 });
  const other = source();
  const reader = tiny.read(tiny.streamer.startStream(other.iterable));
  other.say('👩');
  other.say('\u200d');
  other.say('💻 done');
  other.end();
  await tiny.world.settle();
  assert.equal(reader.got.map(([, chunk]) => chunk).join(''), '👩\u200d💻 done');
  assert.equal(reader.got[0][1], '👩\u200d💻 don');
});

test('a source that fails: its text first, then the failure, once', async () => {
  const { world, streamer, read } = rig({ chunkSize: 3, delayMs: 10 });
  const { iterable, say, fail } = source();
  const id = streamer.startStream(iterable);
  const { got, end } = read(id);
  say('abcdef');
  await world.settle();
  const failure = new Error('the model is gone');
  fail(failure);
  await world.pass(100);
  assert.deepEqual(got, [
    [0, 'abc'],
    [10, 'def'],
  ]);
  assert.equal(end(), failure);
  assert.equal(await streamer.nextChunk(id), undefined);
  streamer.endStream(id);
  const wrong = source();
  const reader = read(streamer.startStream(wrong.iterable));
  wrong.say(7 as never);
  await world.settle();
  assert.ok(isCode('MILLRACE_OPTION_INVALID')(reader.end()));
});

test('a cancel stops the source and gives the end to whoever waits; the id is gone', async () => {
  const { world, streamer, read } = rig({ delayMs: 50 });
  const { iterable, state } = source();
  const id = streamer.startStream(iterable);
  const { end } = read(id);
  await world.settle();
  assert.equal(streamer.cancelStream(id), true);
  await world.settle();
  assert.equal(end() instanceof MillraceError, false);
  assert.equal(state.returned, 1);
  assert.equal(streamer.cancelStream(id), false);
  await assert.rejects(streamer.nextChunk(id), isCode('MILLRACE_STREAM_UNKNOWN'));
  assert.throws(() => streamer.endStream(id), isCode('MILLRACE_STREAM_UNKNOWN'));

  const text = streamer.startStream('a text of more than twenty characters');
  await streamer.nextChunk(text);
  const second = streamer.nextChunk(text);
  streamer.endStream(text);
  assert.equal(await second, undefined);
  assert.equal(world.timers, 0, 'its timer is gone');
  assert.deepEqual(streamer.stats(), {
    active: 0,
    started: 2,
    finished: 0,
    cancelled: 2,
    chunks: 1,
    characters: 20,
  });
});

test('a signal cancels, before and while; leaving the loop stops the source', async () => {
  const { world, streamer } = rig({ delayMs: 0 });
  const controller = new AbortController();
  const { iterable, state } = source();
  const id = streamer.startStream(iterable, { signal: controller.signal });
  const next = streamer.nextChunk(id);
  controller.abort();
  assert.equal(await next, undefined);
  assert.equal(state.returned, 1);
  const got: string[] = [];
  for await (const chunk of streamer.stream('abc', { signal: controller.signal })) got.push(chunk);
  assert.deepEqual(got, []);
  const left = source();
  left.say('one');
  left.say('two');
  for await (const chunk of streamer.stream(left.iterable)) {
    assert.equal(chunk, 'one');
    break;
  }
  await world.settle();
  assert.equal(left.state.returned, 1);
  assert.equal(streamer.stats().active, 0);
});

test('calls that ask at once get pieces in their order, in the rhythm', async () => {
  const { world, streamer } = rig({ chunkSize: 1, delayMs: 10 });
  const id = streamer.startStream('abc');
  const all = Promise.all(Array.from({ length: 5 }, () => streamer.nextChunk(id)));
  await world.pass(30);
  assert.deepEqual(await all, ['a', 'b', 'c', undefined, undefined]);
});

test('pieces grow for a slow reader, so that the text keeps its rate, and shrink again', async () => {
  const { world, streamer } = rig({ chunkSize: 10, delayMs: 50, chunkSizeMax: 60 });
  const id = streamer.startStream('x'.repeat(10_000));
  const sizes: number[] = [];
  const take = async (ms: number) => {
    const chunk = streamer.nextChunk(id);
    await world.pass(50);
    sizes.push((await chunk)?.length ?? 0);
    await world.pass(ms - 50);
  };
  for (let at = 0; at < 12; at++) await take(150);
  assert.equal(sizes[0], 10);
  assert.ok(Math.abs(sizes[11] - 30) <= 2, `150 ms a piece: ${sizes.join(' ')}`);
  for (let at = 0; at < 12; at++) await take(1_000);
  assert.equal(sizes.at(-1), 60, 'up to the bound');
  for (let at = 0; at < 30; at++) await take(50);
  assert.equal(sizes.at(-1), 10);
});

test('each number at its bounds, and one beyond', () => {
  const bounds: [keyof LlmStreamerOptions, number, number][] = [
    ['chunkSize', 1, 65_536],
    ['delayMs', 0, 2 ** 31 - 1],
    ['bufferSize', 1, 2 ** 30],
    ['streamsMax', 1, 2 ** 24],
  ];
  for (const [option, least, most] of bounds) {
    for (const good of [least, most]) assert.ok(new LlmStreamer({ [option]: good }));
    for (const wrong of [least - 1, most + 1, least + 0.5, Number.NaN, '5']) {
      assert.throws(() => new LlmStreamer({ [option]: wrong }), {
        message: `${option} must be an integer from ${least} to ${most}, got ${wrong}`,
      });
    }
  }
  assert.throws(() => new LlmStreamer({ chunkSize: 30, chunkSizeMax: 29 }), /from 30 to/);
  const { streamer } = rig({ streamsMax: 2 });
  const first = streamer.startStream('a');
  streamer.startStream('b');
  assert.throws(() => streamer.startStream('c'), isCode('MILLRACE_STREAMS_EXHAUSTED'));
  streamer.cancelStream(first);
  streamer.startStream('c');
});

test('whatever the source, the sizes and the pace: all of the text, in order, never faster than the rhythm', async () => {
  const { next } = seeded('llm streamer');
  const words = ['a ', 'word ', '水車', '👩🏽‍🔧', '🇩🇪', 'e\u0301', '\r\n', 'нет '];
  for (let round = 0; round < (process.env['SLOW'] === '1' ? 2_000 : 100); round++) {
    const chunkSize = 1 + Math.floor(next() * 30);
    const delayMs = Math.floor(next() * 3) * 20;
    const bufferSize = 1 + Math.floor(next() * 50);
    const { world, streamer, read } = rig({ chunkSize, delayMs, bufferSize });
    const text = Array.from({ length: 60 }, () => words[Math.floor(next() * words.length)]).join(
      '',
    );
    const { iterable, say, end } = source();
    const reader = read(streamer.startStream(iterable));
    for (let at = 0; at < text.length; ) {
      const length = 1 + Math.floor(next() * 20);
      say(text.slice(at, at + length));
      at += length;
      if (next() < 0.3) await world.pass(Math.floor(next() * 60));
    }
    end();
    for (let turn = 0; turn < 5_000 && reader.end() === 'runs'; turn++) await world.pass(5);
    assert.equal(reader.got.map(([, chunk]) => chunk).join(''), text);
    assert.equal(reader.end(), 'ended');
    const times = reader.got.map(([ms]) => ms);
    for (let at = 1; at < times.length; at++) assert.ok(times[at] - times[at - 1] >= delayMs);
    assert.equal(world.timers, 0);
  }
});
