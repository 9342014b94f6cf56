/** What a person sees who asks with curl: `curl -N`, as the README has it. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { createEngine } from '../../src/engine/engine.ts';
import { backendsHere } from '../support/backend/here.ts';
import type { Chunk } from '../support/posted.ts';

const missing = spawnSync('curl', ['--version']).status === 0 ? false : 'needs curl';

for (const backend of backendsHere) {
  test(`curl -N prints each chunk when it comes, by ${backend}`, { skip: missing }, async (t) => {
    const engine = createEngine({
      server: { port: 0, backend },
      admin: { enabled: false },
      log: { level: 'silent' },
      demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 20 },
    });
    t.after(() => engine.close());
    const { url } = await engine.listen();
    const body = {
      model: 'demo',
      messages: [{ role: 'user', content: '@echo one two three\n@fault rate=10' }],
      stream: true,
    };
    const args = ['-sN', '-H', 'content-type: application/json', '-d', JSON.stringify(body)];
    const child = spawn('curl', [...args, `${url.replace('ws:', 'http:')}/v1/chat/completions`]);
    const parts: string[] = [];
    child.stdout.on('data', (part: Buffer) => parts.push(part.toString()));
    assert.deepEqual(await once(child, 'close'), [0, null]);
    const out = parts.join('');
    const deltas = [...out.matchAll(/^data: (\{.*\})\n\n/gm)].map(
      ([, json]) => (JSON.parse(json) as Chunk).choices[0].delta,
    );
    assert.deepEqual(deltas[0], { role: 'assistant', content: '' });
    assert.deepEqual(deltas.at(-1), {});
    assert.equal(deltas.map(({ content }) => content ?? '').join(''), 'one two three');
    assert.ok(out.endsWith('data: [DONE]\n\n'));
    assert.ok(parts.length >= 2, 'they did not come all at once');
  });
}
