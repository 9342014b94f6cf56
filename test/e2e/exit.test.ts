import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const program = `
import { createEngine } from ${JSON.stringify(new URL('../../src/engine/engine.js', import.meta.url).href)};
const engine = createEngine({ server: { port: 0 }, admin: { port: 0 }, log: { level: 'silent' }, demo: { enabled: true } });
await engine.listen();
await engine.close();
process.stdout.write(String(Date.now()));
`;

test('an embedder, also one given as text, ends by itself once its engine is closed', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (part) => {
    said += String(part);
  });
  const [code] = (await once(child, 'exit')) as [number];
  const lateMs = Date.now() - Number(said);
  assert.equal(code, 0);
  // Well under the deadlines of threads (5 s) that might keep a timer.
  assert.ok(lateMs < 2500, `${lateMs} ms after close`);
});
