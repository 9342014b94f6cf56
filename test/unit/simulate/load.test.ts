import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { test } from 'node:test';
import { startSimulated } from '../../../src/simulate/server.ts';

const STREAMS = process.env['SLOW'] ? 5000 : 1000;
const TOKENS = 20;
const PER_SECOND = 10;
const FIRST_MS = 100;

/** Reads one stream to its end and answers its length. */
function drink(url: string, agent: Agent, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: 'POST', agent }, (response) => {
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
      });
      response.on('end', () => resolve(bytes));
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

test(`${STREAMS} streams at once keep their pace, and none loses a token`, async (t) => {
  const server = await startSimulated({
    tokensPerSecond: PER_SECOND,
    firstTokenMs: FIRST_MS,
    jitter: 0,
  });
  const agent = new Agent({ keepAlive: true, maxSockets: STREAMS });
  t.after(async () => {
    agent.destroy();
    await server.close();
  });
  const messages = [{ role: 'user', content: `@tokens ${TOKENS}` }];
  const body = JSON.stringify({ model: 'demo', stream: true, messages });
  const url = `${server.url}/chat/completions`;
  const all = Array.from({ length: STREAMS }, () => drink(url, agent, body));
  const lengths = await Promise.all(all);
  assert.ok(lengths.every((bytes) => bytes > TOKENS * 100));

  const wantedMs = FIRST_MS + ((TOKENS - 1) * 1000) / PER_SECOND;
  const took = server.journal.entries.map((entry) => {
    assert.equal(entry.tokensSent, TOKENS);
    assert.equal(entry.ending, 'finished');
    return (entry.endedMs ?? 0) - entry.receivedMs;
  });
  took.sort((a, b) => a - b);
  const median = took[STREAMS >> 1] ?? 0;
  // Never ahead of time; late only as far as one process that also reads all of it can help.
  assert.ok((took[0] ?? 0) >= wantedMs - 1, `fastest ${took[0]} ms`);
  assert.ok(median < wantedMs + 1000, `median ${median} ms instead of ${wantedMs} ms`);
});
