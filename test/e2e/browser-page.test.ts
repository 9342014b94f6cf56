/** Goal: the page does what it shows, in a real browser, for eyes, keyboards, phones and screen readers. Method: headless Chromium on the demo; contrast, names and widths are measured. */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { createEngine } from '../../src/engine/engine.ts';
import { launchBrowser, noBrowser, type Visit, visit } from '../support/browser.ts';
import { faintTexts, overflowing } from '../support/page-looks.ts';
import { until } from '../support/until.ts';

const STALL_MS = 700;
const WAIT_MS = 20_000;

async function serve(port = 0, tokensPerSecond = 300, keys: string[] = []) {
  const engine = createEngine({
    server: { port, page: true, backend: 'ws' },
    admin: { enabled: false },
    log: { level: 'silent' },
    keys,
    threads: { workers: 1 },
    demo: { enabled: true, firstTokenMs: 10, tokensPerSecond },
    stream: { firstDeltaTimeoutMs: STALL_MS, gapTimeoutMs: STALL_MS },
  });
  const { url, port: bound } = await engine.listen();
  return { engine, port: bound, address: url.replace('ws:', 'http:') };
}

/** The page and what a person sees of it. */
class Eyes {
  readonly page: Page;
  readonly complaints: string[];

  constructor({ page, complaints }: Visit) {
    this.page = page;
    this.complaints = complaints;
  }

  lane(letter: string) {
    return this.page.getByRole('article', { name: `Lane ${letter}` });
  }
  async story(letter: string): Promise<string[]> {
    return this.lane(letter).locator('.steps li').allTextContents();
  }
  async answer(letter: string): Promise<string> {
    return (await this.lane(letter).locator('.answer').last().textContent()) ?? '';
  }
  async busy(letter: string): Promise<boolean> {
    return (await this.lane(letter).getAttribute('aria-busy')) === 'true';
  }
  async cell(upstream: string, column: string): Promise<string> {
    const row = this.page.getByRole('row', { name: upstream });
    return (await row.locator(`[data-label="${column}"]`).textContent()) ?? '';
  }
  async fault(upstream: string, label: string): Promise<void> {
    await this.page.getByLabel(`What ${upstream} does to your next messages`).selectOption(label);
  }
  async ask(text: string): Promise<void> {
    await this.page.getByLabel(/^Message/).fill(text);
    await this.page.getByRole('button', { name: 'Ask' }).click();
  }
  async settled(...letters: string[]): Promise<void> {
    for (const letter of letters) {
      await until(async () => !(await this.busy(letter)), `lane ${letter} to settle`, WAIT_MS);
    }
  }
  async connected(): Promise<void> {
    const link = this.page.locator('#link[data-state=open]');
    await link.waitFor({ timeout: WAIT_MS });
    await this.page.getByRole('row', { name: 'simulated-a' }).waitFor({ timeout: WAIT_MS });
  }
}

describe('the page in a browser', { skip: noBrowser }, () => {
  let browser: Browser;
  /** For tests whose upstreams do not fail: a failing one is avoided for a while. */
  let shared: Awaited<ReturnType<typeof serve>>;
  before(async () => {
    [browser, shared] = await Promise.all([launchBrowser(), serve()]);
  });
  after(async () => {
    await browser.close();
    await shared.engine.close();
  });

  async function open(
    t: TestContext,
    address: string,
    options: BrowserContextOptions = {},
  ): Promise<Eyes> {
    const eyes = new Eyes(await visit(t, browser, address, options));
    await eyes.connected();
    return eyes;
  }

  const start = (t: TestContext, options?: BrowserContextOptions) =>
    open(t, shared.address, options);

  async function startFresh(t: TestContext): Promise<Eyes> {
    const { engine, address } = await serve();
    t.after(() => engine.close());
    return open(t, address);
  }

  test('an answer streams into a lane, with its upstream, its first token and its end', async (t) => {
    const eyes = await start(t);
    await eyes.page.getByRole('radio', { name: 'lane A' }).check();
    // The field is empty: what it suggests is asked.
    await eyes.page.getByRole('button', { name: 'Ask' }).click();
    await eyes.settled('A');
    assert.match(await eyes.answer('A'), /^This is a simulated answer/);
    const story = await eyes.story('A');
    assert.match(story[0], /^simulated-[ab] answers; first token after \d+ ms$/);
    assert.match(story[1], /^completed, \d+ tokens in \d+\.\d s$/);
    assert.deepEqual(await eyes.story('B'), [], 'the other lane stays quiet');
    assert.match(
      (await eyes.page.locator('#said').textContent()) ?? '',
      /Lane A: completed by simulated-/,
    );
    await until(
      async () =>
        (await eyes.cell('simulated-a', 'Attempts')) !==
        (await eyes.cell('simulated-b', 'Attempts')),
      'the board to count the attempt',
    );
    assert.deepEqual(eyes.complaints, []);
  });

  test('where a key is asked for the page says so and opens the field; a wrong one is told, the right one connects', async (t) => {
    const { engine, address } = await serve(0, 300, ['right-key']);
    t.after(() => engine.close());
    const visited = await visit(t, browser, address);
    const eyes = new Eyes(visited);
    const link = eyes.page.locator('#link[data-state=closed]');
    const key = eyes.page.getByLabel(/^API key/);
    await link.getByText('this server asks for an API key').waitFor({ timeout: WAIT_MS });
    assert.equal(await eyes.page.evaluate('document.activeElement.id'), 'key');
    await key.fill('wrong-key');
    await key.press('Enter');
    await link.getByText('this server does not know that key').waitFor({ timeout: WAIT_MS });
    await key.fill('right-key');
    await key.press('Enter');
    await eyes.connected();
    await eyes.ask('@echo let in');
    await eyes.settled('A', 'B');
    assert.equal(await eyes.answer('A'), 'let in');
    assert.ok(!(await eyes.page.content()).includes('right-key'));
  });

  test('two lanes stream at once over one socket; cancelling one leaves the other alone', async (t) => {
    const { engine, address } = await serve(0, 60);
    t.after(() => engine.close());
    const visited = await visit(t, browser, 'about:blank');
    let sockets = 0;
    const lanes: string[] = [];
    visited.page.on('websocket', (socket) => {
      sockets += 1;
      socket.on('framereceived', ({ payload }) => {
        const id = /"response\.output_text\.delta".*"stream_id":"([^"]+)"/.exec(String(payload));
        if (id) lanes.push(id[1]);
      });
    });
    await visited.page.goto(address);
    const eyes = new Eyes(visited);
    await eyes.connected();
    await eyes.ask('@tokens 4000');
    const changes = () => lanes.filter((lane, at) => at > 0 && lane !== lanes[at - 1]).length;
    await until(() => changes() > 10, 'the lanes to take turns', WAIT_MS);
    assert.equal(sockets, 1);
    assert.deepEqual([await eyes.busy('A'), await eyes.busy('B')], [true, true]);
    assert.equal(await eyes.page.locator('#flow .drops').count(), 4);

    await eyes.page.getByRole('button', { name: 'Cancel lane A' }).click();
    await eyes.settled('A');
    assert.match((await eyes.story('A')).join(), /cancelled/);
    const [stopped, runs] = [await eyes.answer('A'), await eyes.answer('B')];
    await until(async () => (await eyes.answer('B')).length > runs.length + 50, 'B to go on');
    assert.equal(await eyes.answer('A'), stopped);

    await eyes.page.getByRole('button', { name: 'Close lane B' }).click();
    assert.equal(await eyes.lane('B').count(), 0);
    const flights = async () =>
      (await eyes.cell('simulated-a', 'In flight')) + (await eyes.cell('simulated-b', 'In flight'));
    await until(async () => (await flights()) === '00', 'the closed lane to be cancelled');
    assert.deepEqual(eyes.complaints, []);
  });

  for (const [label, reason] of [
    ['answers 503', /simulated-a answered with status 503|503/],
    ['resets before the first token', /simulated-a closed the connection/],
    ['stalls before the first token', /simulated-a .*\d+ ms/],
    ['answers 429, busy for 3 s', /simulated-a/],
  ] as const) {
    test(`an upstream that ${label} is replaced, and the page shows by whom`, async (t) => {
      const eyes = await startFresh(t);
      await eyes.fault('simulated-a', label);
      // Round-robin: one of two lanes meets it.
      await eyes.ask('@tokens 30');
      await eyes.page.locator('#flow .failed').first().waitFor({ timeout: WAIT_MS });
      await eyes.settled('A', 'B');
      const stories = [await eyes.story('A'), await eyes.story('B')];
      const moved = stories.find((story) => story.join().includes('attempt 2')) ?? [];
      assert.equal(moved.length, 3, JSON.stringify(stories));
      assert.match(moved[0], reason);
      assert.match(moved[1], /^simulated-b answers, attempt 2; first token after \d+ ms$/);
      assert.match(moved[2], /^completed/);
      assert.equal(await eyes.page.locator('.strip .failed').count(), 1);
      assert.equal(await eyes.cell('simulated-a', 'Failed'), '1');
      assert.equal(await eyes.page.locator('.note').count(), 2, 'the faults asked for are said');
      assert.deepEqual(eyes.complaints, []);
    });
  }

  for (const [label, code] of [
    ['resets in mid-stream', 'MILLRACE_UPSTREAM_RESET'],
    ['stalls in mid-stream', 'MILLRACE_UPSTREAM_GAP_TIMEOUT'],
    ['ends too early', 'MILLRACE_UPSTREAM_TRUNCATED'],
    ['sends broken JSON', 'MILLRACE_UPSTREAM_'],
  ] as const) {
    test(`an answer whose upstream ${label} keeps what came and says ${code}`, async (t) => {
      const eyes = await startFresh(t);
      for (const upstream of ['simulated-a', 'simulated-b']) await eyes.fault(upstream, label);
      await eyes.page.getByRole('radio', { name: 'lane B' }).check();
      await eyes.ask('@tokens 60');
      await eyes.settled('B');
      const story = await eyes.story('B');
      assert.match(story.at(-1) ?? '', new RegExp(`${code}.* deltas had arrived`));
      assert.equal(await eyes.page.locator('.strip .broken').count(), 1);
      assert.notEqual(await eyes.answer('B'), '');
      // Cured, the lane goes on.
      for (const upstream of ['simulated-a', 'simulated-b']) await eyes.fault(upstream, 'works');
      await eyes.ask('@echo well again');
      await eyes.settled('B');
      assert.equal(await eyes.answer('B'), 'well again');
      assert.deepEqual(eyes.complaints, []);
    });
  }

  test('what people and models write is text, never markup', async (t) => {
    const eyes = await start(t);
    const nasty = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    await eyes.ask(`${nasty}\n@echo ${nasty}`);
    await eyes.settled('A');
    assert.equal(await eyes.answer('A'), nasty);
    assert.equal(await eyes.page.locator('article img, article script').count(), 0);
    assert.equal(await eyes.page.title(), 'millrace');
  });

  test('after a restart of the server the page connects and asks again', async (t) => {
    const first = await serve();
    const eyes = await open(t, first.address);
    await eyes.page.getByRole('radio', { name: 'lane A' }).check();
    await eyes.ask('@tokens 5000\n@fault rate=50');
    await until(() => eyes.answer('A').catch(() => ''), 'the answer to begin');
    await first.engine.close();
    await until(
      async () => /again in/.test((await eyes.page.locator('#link').textContent()) ?? ''),
      'the page to say that it waits',
    );
    assert.match((await eyes.story('A')).join(), /connection closed|MILLRACE_/);
    const second = await serve(first.port);
    t.after(() => second.engine.close());
    await eyes.connected();
    await eyes.ask('@echo back');
    await eyes.settled('A');
    assert.equal(await eyes.answer('A'), 'back');
  });

  test('a keyboard is enough: Enter asks, Shift+Enter breaks the line, Escape cancels, Tab reaches everything', async (t) => {
    const eyes = await start(t);
    const { keyboard } = eyes.page;
    assert.equal(await eyes.page.evaluate('document.activeElement.id'), 'prompt');
    await keyboard.type('@tokens 5000');
    await keyboard.press('Shift+Enter');
    await keyboard.type('@fault rate=50');
    await keyboard.press('Enter');
    await until(() => eyes.answer('B').catch(() => ''), 'the answers to begin');
    await keyboard.press('Escape');
    await eyes.settled('A', 'B');
    assert.match((await eyes.story('B')).join(), /cancelled/);
    const reached = new Set<string>();
    await eyes.page.evaluate('document.activeElement.blur(); scrollTo(0, 0)');
    for (let step = 0; step < 30; step += 1) {
      await keyboard.press('Tab');
      reached.add(await eyes.page.evaluate(FOCUSED));
    }
    for (const name of ['Skip to the message field', 'What simulated-a', 'Conversation of lane A'])
      assert.ok(
        [...reached].some((each) => each.startsWith(name)),
        `${name} in ${[...reached].join(' | ')}`,
      );
    assert.ok(!reached.has('no outline'), 'focus shows');
  });

  for (const scheme of ['light', 'dark'] as const) {
    test(`in ${scheme} every text has its contrast, every control its name, nothing moves unasked`, async (t) => {
      const eyes = await start(t, { colorScheme: scheme, reducedMotion: 'reduce' });
      await eyes.fault('simulated-a', 'answers 503');
      await eyes.ask('Fail, please.\n@reason\n@tokens 40');
      await eyes.settled('A', 'B');
      await eyes.page.getByText('Settings').click();
      await eyes.ask('@tokens 3000');
      await until(() => eyes.answer('A'), 'the answer to begin');
      assert.deepEqual(await faintTexts(eyes.page), []);
      const moving = 'document.getAnimations().filter((a) => a.playState === "running").length';
      assert.equal(await eyes.page.evaluate(moving), 0);
      for (const role of ['button', 'textbox', 'combobox', 'radio'] as const) {
        const all = await eyes.page.getByRole(role).all();
        const named = await eyes.page.getByRole(role, { name: /\S/ }).count();
        assert.ok(all.length > 0, role);
        assert.equal(named, all.length, `every ${role} has a name`);
      }
      const ids = await eyes.page.evaluate<string[]>(
        '[...document.querySelectorAll("[id]")].map((e) => e.id)',
      );
      assert.equal(new Set(ids).size, ids.length, 'ids are unique');
    });
  }

  test('with motion allowed, drops run while tokens come, and rest when they do not', async (t) => {
    const eyes = await start(t, { reducedMotion: 'no-preference' });
    const moving = 'document.getAnimations().filter((a) => a.playState === "running").length';
    assert.equal(await eyes.page.evaluate(moving), 0);
    await eyes.ask('@tokens 2000');
    await until(() => eyes.page.evaluate(moving), 'the drops to run');
  });

  test('a phone shows all of it without scrolling sideways, however long a word is', async (t) => {
    const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
    const eyes = await start(t, phone);
    const fits = async (when: string) => {
      const width = await eyes.page.evaluate<number>('document.documentElement.scrollWidth');
      assert.ok(width <= 360, `${when}: ${width}`);
      assert.deepEqual(await overflowing(eyes.page), [], when);
    };
    await fits('at the start');
    for (let lane = 2; lane < 6; lane += 1)
      await eyes.page.getByRole('button', { name: '+ lane' }).click();
    assert.equal(await eyes.page.getByRole('button', { name: '+ lane' }).isDisabled(), true);
    await eyes.fault('simulated-b', 'answers 503');
    await eyes.ask(`@echo ${'W'.repeat(400)}`);
    await eyes.settled('A', 'F');
    // Half of them meet the fault first; how many of those may try again at once is bounded.
    const answers = await Promise.all(Array.from('ABCDEF', (lane) => eyes.answer(lane)));
    assert.ok(
      answers.some((text) => /^W{400}$/.test(text)),
      answers.join('|'),
    );
    await fits('with six lanes');
    const ask = await eyes.page.getByRole('button', { name: 'Ask' }).boundingBox();
    assert.ok(ask && ask.height >= 44, 'a thumb finds the button');
    assert.deepEqual(eyes.complaints, []);
  });
});

/** The name of what has the focus, or that it does not show. */
const FOCUSED = `(() => {
  const at = document.activeElement;
  if (at === document.body) return 'body';
  const ring = getComputedStyle(at.matches('.aim input') ? at.nextElementSibling : at);
  if (ring.outlineStyle === 'none' && at.matches(':focus-visible')) return 'no outline';
  return at.getAttribute('aria-label') || at.textContent.trim() || at.id;
})()`;
