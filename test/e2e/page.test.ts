import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createContext, runInContext } from 'node:vm';
import { WebSocket } from 'ws';
import { createEngine } from '../../src/engine/engine.ts';
import { until } from '../support/until.ts';

const engine = createEngine({
  server: { port: 0, page: true },
  admin: { enabled: false },
  log: { level: 'silent' },
  demo: { enabled: true, firstTokenMs: 10, tokensPerSecond: 400 },
});
const { url } = await engine.listen();
after(() => engine.close({ drain: false }));
const response = await fetch(`${url.replace('ws:', 'http:')}/`);
const html = await response.text();

interface Turn {
  id?: string;
  text: string;
  thought: string;
  done: boolean;
  status: string;
  problem?: string;
  usage?: { output_tokens: number };
}
interface Heard {
  state(state: string, text: string): void;
  event(event: { type: string }): void;
  lost(code: number, reason: string): void;
}
/** What the page's first script defines: the protocol, free of the document. */
interface PageScript {
  createLink(
    url: string,
    protocols: string[],
    heard: Heard,
  ): { send(event: object): boolean; close(): void };
  createTurn(this: void, startedMs: number): Turn;
  takeEvent(turn: Turn, event: object, nowMs: number): void;
  figuresOf(turn: Turn, nowMs: number): Record<string, string | undefined>;
  retryDelayMs(this: void, attempt: number, random: () => number): number;
}

/** A browser's socket tells an error only by its close; one of `ws` throws what nobody listens to. */
class BrowserSocket extends WebSocket {
  constructor(address: string, protocols: string[]) {
    super(address, protocols);
    this.on('error', () => {});
  }
}

/** Runs the protocol script of the page as served, with `ws` in place of the browser's WebSocket. */
function pageScript(): PageScript {
  const [, script = ''] = /<script id="protocol">([^]*?)<\/script>/.exec(html) ?? [];
  assert.notEqual(script, '');
  const context = createContext({ WebSocket: BrowserSocket, setTimeout, clearTimeout });
  runInContext(script, context);
  return runInContext(
    '({ createLink, createTurn, takeEvent, figuresOf, retryDelayMs })',
    context,
  ) as PageScript;
}

test('the page is one small file that loads nothing and talks to its own host alone', () => {
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
  assert.ok(Buffer.byteLength(html) < 20 * 1024, `${html.length} bytes`);
  assert.deepEqual(html.match(/(?:https?:)?\/\/[a-z0-9]/gi), null);
  assert.doesNotMatch(html, /<(?:script|img|iframe)[^>]+src=|@import|[ :]url\(/);
  const policy = response.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
});

test('the page says that answers are simulated, works from a keyboard and on a phone', () => {
  assert.match(html, /<strong>Simulated\.<\/strong>/);
  assert.match(html, /<meta name="viewport"/);
  assert.match(html, /prefers-color-scheme: dark/);
  assert.match(html, /<label for="prompt">/);
  assert.match(html, /:focus-visible/);
  assert.doesNotMatch(html, /onclick=|innerHTML/);
  // Every element that the script looks up exists.
  const wanted = [...html.matchAll(/\$\('(\w+)'\)/g)].map((found) => found[1]);
  assert.ok(wanted.length > 10);
  for (const id of new Set(wanted)) assert.match(html, new RegExp(`id="${id}"`), id);
});

/** A link whose turns are awaited one by one. */
function talk(script: PageScript) {
  const states: string[] = [];
  let turn = script.createTurn(0);
  const link = script.createLink(`${url}/v1/responses`, [], {
    state: (state) => void states.push(state),
    event: (event) => script.takeEvent(turn, event, performance.now()),
    lost() {},
  });
  return {
    link,
    states,
    begin: (event: object): Turn => {
      turn = script.createTurn(performance.now());
      assert.ok(link.send({ type: 'response.create', model: 'demo', ...event }));
      return turn;
    },
  };
}

test('its script asks, streams, continues, cancels and shows a typed failure', async (t) => {
  const script = pageScript();
  const { link, states, begin } = talk(script);
  t.after(() => link.close());
  await until(() => states.at(-1) === 'open', 'the page to connect');

  const first = begin({ input: 'hi\n@tokens 12\n@reason' });
  await until(() => first.done, 'the answer');
  assert.equal(first.status, 'completed');
  assert.match(first.text, /^This is a simulated answer/);
  assert.match(first.thought, /simulated/);
  const figures = script.figuresOf(first, performance.now());
  assert.match(figures['first token'] ?? '', /^\d+ ms$/);
  assert.equal(figures['tokens'], String(first.usage?.output_tokens));
  assert.equal(figures['status'], 'completed');
  assert.match(figures['upstream'] ?? '', /^simulated-[ab]$/);

  const second = begin({ input: '@echo again', previous_response_id: first.id });
  await until(() => second.done, 'the second answer');
  assert.equal(second.text, 'again');

  const third = begin({ input: '@tokens 5000\n@fault rate=50' });
  await until(() => third.text, 'the third answer to begin');
  link.send({ type: 'response.cancel', response_id: third.id });
  await until(() => third.done, 'the cancel');
  assert.equal(third.status, 'cancelled');

  const fourth = begin({ input: '@fault reset-after=3' });
  await until(() => fourth.done, 'the failure');
  assert.match(fourth.problem ?? '', /^MILLRACE_UPSTREAM_\w+: .*deltas had arrived/);
  const fifth = begin({ model: 'gpt-9', input: 'hi' });
  await until(() => fifth.done, 'the refusal');
  assert.match(fifth.problem ?? '', /^MILLRACE_MODEL_NOT_FOUND: .*demo/);
});

test('its waits before connecting again are jittered over a doubling bound', () => {
  const { retryDelayMs } = pageScript();
  const highest = (attempt: number) => retryDelayMs(attempt, () => 1);
  assert.deepEqual([0, 1, 2, 3].map(highest), [500, 1000, 2000, 4000]);
  assert.equal(highest(1000), 15_000);
  assert.equal(
    retryDelayMs(3, () => 0),
    0,
  );
});

test('its link comes back after a restart and says so', async (t) => {
  const script = pageScript();
  const options = {
    admin: { enabled: false },
    log: { level: 'silent' },
    demo: { enabled: true },
  } as const;
  const first = createEngine({ ...options, server: { port: 0, backend: 'ws' } });
  const { url, port } = await first.listen();
  const states: string[] = [];
  const lost: number[] = [];
  const link = script.createLink(`${url}/v1/responses`, [], {
    state: (state, text) => void states.push(`${state}: ${text}`),
    event() {},
    lost: (code) => void lost.push(code),
  });
  t.after(() => link.close());
  await until(() => states.at(-1)?.startsWith('open'), 'the page to connect');
  await first.close({ drain: true });
  await until(() => lost.length === 1, 'the page to be told');
  assert.deepEqual(lost, [1012]);
  assert.match(
    states.find((state) => state.startsWith('waiting')) ?? '',
    /server restarting, again in/,
  );
  assert.equal(link.send({ type: 'response.create' }), false);

  const second = createEngine({ ...options, server: { port, backend: 'ws' } });
  t.after(() => second.close());
  await second.listen();
  await until(() => states.at(-1)?.startsWith('open'), 'the page to be back', 20_000);
});
