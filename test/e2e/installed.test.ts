/** Goal: what a stranger installs works: no install scripts, any folder, ESM and CommonJS, the demo. Method: npm pack, npm install into an empty project, the installed program. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { open } from '../support/client.ts';
import { answer, ask, assertWhole, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'millrace-project-'));

function run(program: string, args: readonly string[], cwd = project): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

before(() => {
  writeFileSync(join(project, 'package.json'), '{"private":true}');
  const tarball = run(
    'npm',
    ['pack', '--silent', '--ignore-scripts', '--pack-destination', project],
    root,
  );
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  run('npm', ['install', ...quiet, join(project, tarball.trim())]);
});
after(() => rmSync(project, { recursive: true, force: true }));

const embed = (load: string) => `
  ${load}
  const engine = createEngine({
    server: { port: 0 }, admin: { enabled: false }, log: { level: 'silent' }, demo: { enabled: true }, threads: { workers: 1 },
  });
  engine.listen()
    .then(({ url }) => fetch(url.replace('ws:', 'http:') + '/v1/models'))
    .then((reply) => reply.json())
    .then(({ data }) => { console.log(data.map(({ id }) => id).join()); return engine.close(); });`;

for (const [kind, file, load] of [
  ['ESM', 'a.mjs', "import { createEngine } from 'millrace';"],
  ['CommonJS', 'a.cjs', "const { createEngine } = require('millrace');"],
] as const) {
  test(`from ${kind} the installed library serves, and the process ends by itself`, () => {
    writeFileSync(join(project, file), embed(load));
    assert.equal(run(process.execPath, [file]), 'demo\n');
  });
}

test('npx millrace serve --demo streams an answer and ends with 0', async () => {
  const args = ['--no-install', 'millrace', 'serve', '--demo', '--port', '0', '--admin-port', '0'];
  // npx passes signals on to a program, not to the shell it may start it in: the group gets it.
  const npx = spawn('npx', args, { cwd: project, stdio: ['ignore', 'pipe', 2], detached: true });
  const ended = once(npx, 'exit');
  let out = '';
  npx.stdout?.on('data', (part) => (out += String(part)));
  try {
    const listening = () => /^\{.*"event":"listening".*\}$/m.exec(out)?.[0];
    await until(() => listening() ?? npx.exitCode !== null, 'the gateway to listen', 60_000);
    const { url } = JSON.parse(listening() ?? '{}') as { url: string };
    const client = await open(`${url}/v1/responses`);
    ask(client, '@echo as installed');
    const events = await answer(client);
    assertWhole(events);
    assert.equal(textOf(events), 'as installed');
    const page = await fetch(url.replace('ws:', 'http:'));
    assert.match(await page.text(), /<title>millrace<\/title>/);
  } finally {
    if (npx.pid !== undefined) process.kill(-npx.pid, 'SIGTERM');
  }
  const [code] = (await ended) as [number | null];
  assert.ok(code === 0 || code === null, `ended with ${code}`);
  await until(() => out.includes('"event":"stopped"'), 'the gateway to say that it stopped');
});
