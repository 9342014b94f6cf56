/** Goal: what docs/LLM-INTEGRATION.md tells a reader to run works as printed. Method: each block is cut out and run beside the SDK it needs; only the port changes. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';

const root = new URL('../../../', import.meta.url);
const installed = (await import(new URL('scripts/clients.mjs', root).href)) as {
  clients(this: void): string[];
  agents(this: void): string;
  python(this: void): { program: string; script: string } | { missing: string };
};
const [, openai] = installed.clients();
const agents = installed.agents();
const python = installed.python();
const text = readFileSync(new URL('docs/LLM-INTEGRATION.md', root), 'utf8');
const blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].map(([, language, code]) => ({
  language,
  code,
}));

interface Way {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly missing: string | false;
}

function wayOf({ language, code }: { language: string; code: string }, moved: string): Way {
  if (language === 'sh') {
    const missing = spawnSync('curl', ['--version']).status === 0 ? false : 'needs curl';
    return { program: 'sh', args: ['-c', moved], missing };
  }
  if (language === 'python') {
    const missing = 'missing' in python ? python.missing : false;
    return { program: 'program' in python ? python.program : '', args: ['-c', moved], missing };
  }
  const cwd = code.includes('@openai/agents') ? agents : openai;
  const args = ['--input-type=module', '--eval', moved];
  return { program: process.execPath, args, cwd, missing: false };
}

describe('docs/LLM-INTEGRATION.md', () => {
  let engine: Engine;
  let host: string;
  before(async () => {
    engine = createEngine({
      server: { port: 0 },
      admin: { enabled: false },
      log: { level: 'silent' },
      demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 2_000 },
      threads: { workers: 1 },
    });
    host = `127.0.0.1:${(await engine.listen()).port}`;
  });
  after(() => engine.close());

  test('has blocks in every language it speaks of', () => {
    const languages = new Set(blocks.map(({ language }) => language));
    assert.deepEqual([...languages].toSorted(), ['js', 'python', 'sh']);
  });

  for (const [at, block] of blocks.entries()) {
    const { missing } = wayOf(block, '');
    const name = `block ${at + 1} (${block.language}) prints an answer and ends`;
    test(name, { skip: missing }, async () => {
      assert.ok(block.code.includes('127.0.0.1:8080'), 'it names the address of the demo');
      const { program, args, cwd } = wayOf(block, block.code.replaceAll('127.0.0.1:8080', host));
      const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
      let out = '';
      child.stdout.on('data', (part: Buffer) => (out += part.toString()));
      assert.deepEqual(await once(child, 'close'), [0, null]);
      assert.match(out, block.language === 'sh' ? /"content":"\w+[^]*\[DONE\]/ : /\w+ \w+/);
    });
  }
});
