/** Goal: a browser's own WebSocket is served as a client: keys by subprotocol, `/chat`, pages of other sites kept out. Method: scripts in headless Chromium, no client library. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { type SimulatedServer, startSimulated } from '../../src/simulate/server.ts';
import { launchBrowser, noBrowser, visit } from '../support/browser.ts';

const KEY = 'sk-browser-test-key';

interface Heard {
  readonly messages: {
    readonly type?: string;
    readonly delta?: string;
    readonly content?: string;
  }[];
  readonly protocol: string;
  /** 0 while it was still open. */
  readonly code: number;
}

/** Runs in the page: connects, sends, and gathers until a message satisfies `last` or the socket closes. */
const talk = (path: string, protocols: string[], message: object, last: string) => `
  new Promise((resolve) => {
    const socket = new WebSocket(${JSON.stringify(path)}, ${JSON.stringify(protocols)});
    const messages = [];
    const last = ${last};
    socket.onopen = () => socket.send(${JSON.stringify(JSON.stringify(message))});
    socket.onmessage = ({ data }) => {
      messages.push(JSON.parse(data));
      if (!last(messages.at(-1))) return;
      resolve({ messages, protocol: socket.protocol, code: 0 });
      socket.close();
    };
    socket.onclose = ({ code }) => resolve({ messages, protocol: socket.protocol, code });
  })`;

describe('a browser as a client', { skip: noBrowser }, () => {
  let browser: Browser;
  let upstream: SimulatedServer;
  let engine: Engine;
  let address: string;

  before(async () => {
    browser = await launchBrowser();
    upstream = await startSimulated({ models: ['m'], tokensPerSecond: 2_000, firstTokenMs: 1 });
    engine = createEngine({
      server: { port: 0, page: true },
      admin: { enabled: false },
      log: { level: 'silent' },
      threads: { workers: 1 },
      keys: [KEY],
      upstreams: [{ name: 'only', url: upstream.url, models: ['m'] }],
    });
    address = (await engine.listen()).url;
  });
  after(async () => {
    await engine.close();
    await upstream.close();
    await browser.close();
  });

  const home = () => `${address.replace('ws:', 'http:')}/v1/models`;
  const ask = { type: 'response.create', model: 'm', input: '@echo from a browser' };
  const completed = '(event) => event.type === "response.completed"';

  test('/v1/responses takes its key as a subprotocol, as OpenAI has browsers send it', async (t) => {
    const { page } = await visit(t, browser, home());
    const protocols = ['realtime', `openai-insecure-api-key.${KEY}`];
    const heard: Heard = await page.evaluate(
      talk(`${address}/v1/responses`, protocols, ask, completed),
    );
    const text = heard.messages.map(({ delta }) => delta ?? '').join('');
    assert.equal(text, 'from a browser');
    assert.equal(heard.protocol, 'realtime', 'the key is not said back');
    const alone: Heard = await page.evaluate(
      talk(`${address}/v1/responses`, protocols.slice(1), ask, completed),
    );
    assert.equal(alone.messages.at(-1)?.type, 'response.completed');
  });

  test('a wrong key, and none, are refused before anything is heard', async (t) => {
    const { page } = await visit(t, browser, home());
    for (const protocols of [[], ['openai-insecure-api-key.wrong']]) {
      const heard: Heard = await page.evaluate(
        talk(`${address}/v1/responses`, protocols, ask, completed),
      );
      assert.deepEqual([heard.code, heard.messages.length], [1006, 0]);
    }
  });

  test('/chat streams to a hand-written page', async (t) => {
    const { page } = await visit(t, browser, home());
    const protocols = [`openai-insecure-api-key.${KEY}`];
    const message = { message: '@echo plain chat' };
    const heard: Heard = await page.evaluate(
      talk(`${address}/chat`, protocols, message, '(frame) => frame.done'),
    );
    assert.equal(heard.messages.map(({ content }) => content).join(''), 'plain chat');
  });

  test('a page of another site gets no socket, whatever key it has', async (t) => {
    const foreign = await startSimulated();
    t.after(() => foreign.close());
    const { page } = await visit(t, browser, `${foreign.url}/models`);
    const protocols = [`openai-insecure-api-key.${KEY}`];
    const heard: Heard = await page.evaluate(
      talk(`${address}/v1/responses`, protocols, ask, completed),
    );
    assert.deepEqual([heard.code, heard.messages.length], [1006, 0]);
  });

  test('without the demo the page still asks, with the key typed in, and shows no board', async (t) => {
    const { page, complaints } = await visit(t, browser, address.replace('ws:', 'http:'));
    // The page finds out that a key is asked for and opens the field.
    await page.getByLabel(/^API key/).waitFor();
    await page.getByLabel(/^API key/).fill(KEY);
    await page.getByLabel(/^API key/).press('Tab');
    await page.locator('#link[data-state=open]').waitFor();
    complaints.length = 0;
    await page.getByLabel(/^Message/).fill('@echo <with a key>');
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.getByText('completed', { exact: false }).first().waitFor();
    assert.equal(await page.locator('.answer').first().textContent(), '<with a key>');
    assert.equal(await page.locator('#race').isVisible(), false);
    assert.equal(await page.locator('#notice').isVisible(), false);
    assert.deepEqual(complaints, []);
  });
});
