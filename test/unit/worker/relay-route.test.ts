/** Routes of the user's own: what their generators see, what their clients get, and that neither can hold the other up for ever. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { codes, type MillraceError } from '../../../src/errors.ts';
import { Flag, Kind } from '../../../src/memory/layout.ts';
import type {
  RouteContext,
  RouteHandler,
  RouteRequest,
  StreamPart,
} from '../../../src/protocol/route.ts';
import { type Rig, type RigOptions, rig } from '../../support/relay-rig.ts';

const CREDIT = 16 * 1024;

function routed(handler: RouteHandler, more: RigOptions = {}): Rig {
  const r = rig({ ...more, modules: { routes: new Map([['/own', handler]]) } });
  r.open(1, 'route', { route: '/own' });
  return r;
}

/** Until generators and rings have nothing more to do now. */
async function calm(r: Rig): Promise<void> {
  for (let n = 0; n < 8; n += 1) {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    await r.settle();
  }
}

const texts = (r: Rig, message: number) => r.of(message).map(({ text }) => text);
const failure = (text: string) => (JSON.parse(text) as { error: Record<string, string> }).error;

describe('what a handler is given and says', () => {
  test('a message that has to wait for its turn reaches its handler then, and not at all when its client has left', async () => {
    const perKey = {
      algorithm: 'LeakyBucket',
      maxRequestsPerSecond: 10,
      maxBurst: 3,
      paced: true,
    } as const;
    const asked: string[] = [];
    const handler: RouteHandler = ({ text }) => {
      asked.push(text);
      return [text].values();
    };
    const r = routed(handler, { options: { limits: { perKey } } });
    r.open(2, 'route', { route: '/own' });
    const [one, two, three] = [r.send(1, 'one'), r.send(1, 'two'), r.send(2, 'three')];
    await calm(r);
    assert.deepEqual([texts(r, one), texts(r, two)], [['one'], []]);
    r.leave(2);
    await r.pass(105);
    await calm(r);
    assert.deepEqual(texts(r, two), ['two']);
    await r.pass(200);
    await calm(r);
    assert.deepEqual(texts(r, three), []);
    assert.deepEqual(asked, ['one', 'two'], 'code of the user’s that nobody waits for');
    r.assertIdle();
  });

  test('JSON, plain text and binary messages come as what they are, in copies', async () => {
    const seen: RouteRequest[] = [];
    const r = routed(async function* (request) {
      seen.push(request);
      yield request.id;
    });
    r.send(1, { a: [1, 'zwölf'] });
    r.send(1, 'no json');
    await calm(r);
    assert.deepEqual(seen[0].json, { a: [1, 'zwölf'] });
    assert.equal(seen[0].text, '{"a":[1,"zwölf"]}');
    assert.deepEqual([seen[1].json, seen[1].text, seen[1].binary], [undefined, 'no json', false]);
    assert.ok(!(seen[1].bytes.buffer instanceof SharedArrayBuffer));
    assert.match(seen[0].id, /^route_[\w-]{31}$/);
    assert.notEqual(seen[0].id, seen[1].id);
  });

  test('strings, bytes and objects become text, binary and JSON frames; the first one commits; the end settles', async () => {
    const r = routed(async function* () {
      yield 'plain';
      yield new Uint8Array([104, 105]);
      yield { n: 1 };
    });
    const message = r.send(1, 'go');
    await calm(r);
    assert.deepEqual(texts(r, message), ['plain', 'hi', '{"n":1}']);
    assert.deepEqual(
      r.of(message).map(({ flags }) => flags & (Flag.commit | Flag.binary | Flag.terminal)),
      [Flag.commit, Flag.binary, 0],
    );
    assert.deepEqual(
      r.of(message).map(({ sequence }) => sequence),
      [0, 1, 2],
    );
    assert.deepEqual(r.settled, [message]);
    r.assertIdle();
  });

  test('a plain generator will do, and a session keeps its state between messages', async () => {
    const r = routed(function* (_request, { session }) {
      const count = (Number(session.state.get('count')) || 0) + 1;
      session.state.set('count', count);
      yield `${session.path} ${session.principal} ${count}`;
    });
    r.send(1, 'a');
    r.send(1, 'b');
    await calm(r);
    assert.deepEqual(
      r.frames.map(({ text }) => text),
      ['/own anonymous 1', '/own anonymous 2'],
    );
  });

  test('messages of one session are handled in order, one at a time; beyond the queue they are refused', async () => {
    const log: string[] = [];
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const r = routed(
      async function* ({ text }) {
        log.push(`in ${text}`);
        await gate;
        yield text;
        log.push(`out ${text}`);
      },
      { options: { session: { queuedRequestsMax: 1 }, upstreams: [] } },
    );
    r.send(1, 'a');
    r.send(1, 'b');
    const third = r.send(1, 'c');
    await calm(r);
    assert.deepEqual(log, ['in a']);
    assert.equal(failure(texts(r, third)[0]).code, 'MILLRACE_QUEUE_FULL');
    open();
    await calm(r);
    assert.deepEqual(log, ['in a', 'out a', 'in b', 'out b']);
    r.assertIdle();
  });
});

describe('a handler that fails', () => {
  for (const [what, handler] of Object.entries<RouteHandler>({
    'throws at once': () => {
      throw new Error('secret');
    },
    'throws in between': async function* () {
      yield 'one';
      throw new Error('secret');
    },
    'is no generator': (() => 'text') as unknown as RouteHandler,
    'yields a number': async function* () {
      yield 7 as unknown as object;
    },
    'yields what is no JSON': async function* () {
      const circle: Record<string, unknown> = {};
      circle['self'] = circle;
      yield circle;
    },
  })) {
    test(`it ${what}: one typed frame without its words, counted and told, and the session stays`, async () => {
      const r = routed(handler);
      const first = r.send(1, 'go');
      await calm(r);
      const last = r.of(first).at(-1);
      assert.equal(failure(last?.text ?? '').code, 'MILLRACE_ROUTE_FAILED');
      assert.doesNotMatch(last?.text ?? '', /secret/);
      assert.equal(r.of(first).filter(({ flags }) => flags & Flag.terminal).length, 1);
      assert.ok(r.parts.facts.some(({ fact }) => fact === 'fault'));
      const code = codes.indexOf('MILLRACE_ROUTE_FAILED');
      assert.equal(r.count('millrace_errors_total', code), 1);
      const second = r.send(1, 'again');
      await calm(r);
      assert.ok(r.hasEnd(second));
      r.assertIdle();
    });
  }

  test('an error that is made for clients keeps its words', async () => {
    const r = routed(async function* () {
      yield 'x';
      throw Object.assign(new Error('no more cake'), { expose: true, code: 'cake_gone' });
    });
    const message = r.send(1, 'go');
    await calm(r);
    assert.deepEqual(failure(texts(r, message)[1]), {
      code: 'cake_gone',
      message: 'no more cake',
      retry: 'never',
    });
  });
});

/** Yields the text of an answer. */
const relayed: RouteHandler = async function* ({ text }, { upstream }) {
  yield* upstream.stream({ model: 'demo', messages: text }).text();
};

describe('the upstream of a handler', () => {
  test('parts come decoded and in order, with usage and finish at the end', async () => {
    const parts: StreamPart[] = [];
    const r = routed(async function* (_request, { upstream }) {
      const asked = { messages: [{ role: 'user', content: 'hi' }], temperature: 0.5 } as const;
      for await (const part of upstream.stream(asked)) parts.push(part);
      yield 'done';
    });
    r.send(1, 'go');
    await calm(r);
    const { last } = r.transport;
    const body = JSON.parse(last.request.body) as Record<string, unknown>;
    assert.deepEqual(body['messages'], [{ role: 'user', content: 'hi' }]);
    assert.equal(body['temperature'], 0.5);
    assert.equal(body['model'], 'demo', 'the one model there is');
    last.sent().head().say('zwölf „“', '"\\\n🌊').stop();
    const usage = { prompt_tokens: 3, completion_tokens: 4 };
    last
      .bytes(`data: ${JSON.stringify({ choices: [], usage })}\n\n`)
      .done()
      .end();
    await calm(r);
    const text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
    assert.equal(text, 'zwölf „“"\\\n🌊');
    assert.deepEqual(parts.slice(-2), [
      { type: 'usage', inputTokens: 3, cachedTokens: 0, outputTokens: 4, reasoningTokens: 0 },
      { type: 'finish', reason: 'stop', upstream: 'one' },
    ]);
    assert.deepEqual(r.outcomes(0), [1, 1, 0]);
    r.assertIdle();
  });

  test('before the first part a failure moves to another upstream unseen, afterwards the handler gets it', async () => {
    const r = routed(relayed);
    const message = r.send(1, 'hi');
    await calm(r);
    r.transport.last.sent().head(500).end();
    await calm(r);
    assert.equal(r.transport.exchanges.length, 2);
    r.transport.last.sent().head().say('half');
    await calm(r);
    r.transport.last.fail();
    await calm(r);
    assert.equal(texts(r, message)[0], 'half');
    assert.equal(failure(texts(r, message)[1]).code, 'MILLRACE_UPSTREAM_RESET');
    assert.equal(r.transport.exchanges.length, 2);
    r.assertIdle();
  });

  test('a request that is none is thrown at the call, with its place', async () => {
    const errors: unknown[] = [];
    const r = routed(async function* (_request, { upstream }) {
      for (const asked of [
        {},
        { messages: [] },
        { messages: [{ role: 'x', content: '' }] },
        { model: 'no', messages: 'a' },
      ]) {
        try {
          upstream.stream(asked as never);
        } catch (thrown) {
          errors.push((thrown as MillraceError).message);
        }
      }
      yield 'ok';
    });
    r.send(1, 'go');
    await calm(r);
    assert.deepEqual(errors, [
      'messages must be a text or a list of at least one message, got nothing',
      'messages must be a text or a list of at least one message, got an array',
      'messages[0].role must be one of "system", "developer", "user", "assistant", "tool", got "x"',
      "The model 'no' does not exist here. Available: demo.",
    ]);
    assert.equal(r.transport.exchanges.length, 0);
  });

  test('leaving the loop closes the socket; so does the end of the handler for what it never pulled', async () => {
    const r = routed(async function* (_request, { upstream }) {
      upstream.stream({ messages: 'never pulled' });
      for await (const part of upstream.stream({ messages: 'left' })) {
        yield part.type;
        break;
      }
      yield String(r.transport.exchanges[1].cancelled);
    });
    const message = r.send(1, 'go');
    await calm(r);
    for (const exchange of r.transport.exchanges) exchange.sent().head().say('a');
    await calm(r);
    assert.deepEqual(texts(r, message), ['text', 'true']);
    assert.ok(r.transport.exchanges.every(({ cancelled }) => cancelled));
    r.assertIdle();
  });

  test('its signal ends one stream with its reason, and the handler goes on', async () => {
    const control = new AbortController();
    const r = routed(async function* (_request, { upstream }) {
      try {
        yield* upstream.stream({ messages: 'a' }, { signal: control.signal }).text();
      } catch (thrown) {
        yield String(thrown);
      }
    });
    const message = r.send(1, 'go');
    await calm(r);
    control.abort('enough');
    await calm(r);
    assert.deepEqual(texts(r, message), ['enough']);
    assert.ok(r.transport.last.cancelled);
    r.assertIdle();
  });

  test('one message may have as many streams at once as a session may have requests', async () => {
    const r = routed(
      async function* (_request, { upstream }) {
        upstream.stream({ messages: 'a' });
        upstream.stream({ messages: 'b' });
        yield 'unreached';
      },
      { options: { session: { runningRequestsMax: 1 }, ...one } },
    );
    const message = r.send(1, 'go');
    await calm(r);
    assert.equal(failure(texts(r, message)[0]).code, 'MILLRACE_OVERLOADED');
    r.assertIdle();
  });
});

const one = { upstreams: [{ name: 'one', url: 'http://one.test/v1', models: ['demo'] }] };

describe('back-pressure', () => {
  test('a client without credit is not pulled for, its upstream is paused with bounded bytes, and nothing is lost', async () => {
    let pulled = 0;
    const r = routed(
      async function* (_request, { upstream }) {
        for await (const text of upstream.stream({ messages: 'a' }).text()) {
          pulled++;
          yield text;
        }
      },
      { options: { session: { creditBytes: CREDIT }, ...one } },
    );
    const message = r.send(1, 'go');
    await calm(r);
    const { last } = r.transport;
    last.sent().head();
    r.granting = false;
    const words: string[] = [];
    while (!last.paused) {
      words.push(`${words.length}${'.'.repeat(500)}`);
      last.say(words.at(-1) ?? '');
      await r.settle();
      assert.ok(words.length < 1000, 'it is never paused');
    }
    await calm(r);
    const waiting = words.length * 500;
    assert.ok(waiting < CREDIT + 64 * 1024 + 4 * 1024, `${waiting} bytes wait`);
    const before = pulled;
    assert.ok(pulled * 500 < CREDIT + 1024, 'pulled beyond the credit');
    await r.pass(60_000);
    await calm(r);
    assert.equal(pulled, before, 'pulled without credit');
    assert.ok(!r.hasEnd(message), 'no clock counts meanwhile');
    r.granting = true;
    r.grant(1);
    await calm(r);
    assert.ok(!last.paused);
    last.stop().done().end();
    await calm(r);
    assert.equal(texts(r, message).join(''), words.join(''));
    assert.deepEqual(r.settled, [message]);
    r.assertIdle();
  });

  test('a handler that does not pull pauses its upstream', async () => {
    let pull: () => void = () => {};
    const gate = new Promise<void>((resolve) => (pull = resolve));
    const r = routed(async function* (_request, { upstream }) {
      const stream = upstream.stream({ messages: 'a' });
      await gate;
      let bytes = 0;
      for await (const text of stream.text()) bytes += text.length;
      yield String(bytes);
    });
    const message = r.send(1, 'go');
    await calm(r);
    const { last } = r.transport;
    last.sent().head();
    let said = 0;
    while (!last.paused) {
      last.say('x'.repeat(1000));
      said += 1000;
      assert.ok(said < 200_000, 'it is never paused');
    }
    pull();
    await calm(r);
    assert.ok(!last.paused);
    last.stop().done().end();
    await calm(r);
    assert.deepEqual(texts(r, message), [String(said)]);
  });

  test('an endless generator of empty yields holds nobody up', async () => {
    const r = routed(async function* () {
      for (;;) yield 'x';
    });
    r.open(2);
    r.granting = false;
    r.send(1, 'go');
    await calm(r);
    const turn = r.ask(2);
    await calm(r);
    r.transport.last.answer('still here');
    await calm(r);
    assert.equal(r.text(turn), 'still here');
    r.leave(1);
    await calm(r);
    r.assertIdle();
  });
});

describe('a client that leaves', () => {
  const leaving = async (handler: RouteHandler) => {
    const r = routed(handler);
    r.send(1, 'go');
    await calm(r);
    r.leave(1);
    await calm(r);
    return r;
  };

  test('aborts the signal, closes the upstream, runs the finally of the generator', async () => {
    const log: string[] = [];
    const r = await leaving(async function* (_request, { upstream, signal }) {
      signal.addEventListener('abort', () => log.push('aborted'));
      try {
        yield 'first';
        yield* upstream.stream({ messages: 'a' }).text();
      } finally {
        log.push('finally');
      }
    });
    assert.deepEqual(log, ['aborted', 'finally']);
    assert.ok(r.transport.last.cancelled);
    await r.pass(10_000);
    assert.equal(r.count('millrace_routes_abandoned_total'), 0);
    r.assertIdle();
  });

  test('a generator that does not end is abandoned and counted; its later words go nowhere', async () => {
    let wake: () => void = () => {};
    let context: RouteContext | undefined;
    const r = await leaving(async function* (_request, given) {
      context = given;
      await new Promise<void>((resolve) => (wake = resolve));
      yield 'too late';
    });
    await r.pass(4_000);
    assert.equal(r.count('millrace_routes_abandoned_total'), 0);
    await r.pass(2_000);
    assert.equal(r.count('millrace_routes_abandoned_total'), 1);
    assert.throws(() => context?.upstream.stream({ messages: 'a' }), {
      code: 'MILLRACE_CANCELLED',
    });
    wake();
    await calm(r);
    assert.equal(r.frames.length, 0);
    r.assertIdle();
  });
});

test('when the engine stops, the answer ends in one typed frame and the generator is told', async () => {
  const reasons: unknown[] = [];
  const r = routed(async function* (_request, { signal }) {
    signal.addEventListener('abort', () => reasons.push((signal.reason as MillraceError).code));
    yield 'first';
    await new Promise(() => {});
  });
  const message = r.send(1, 'go');
  await calm(r);
  r.order(Kind.stop);
  await calm(r);
  assert.equal(failure(texts(r, message)[1]).code, 'MILLRACE_DRAINING');
  assert.deepEqual(reasons, ['MILLRACE_DRAINING']);
});
