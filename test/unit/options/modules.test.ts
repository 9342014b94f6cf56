/** Where the user's modules are: every form that is understood, and a sentence for every other. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { dimensionsOf } from '../../../src/observe/metrics.ts';
import { resolveOptions, type Sources } from '../../../src/options/resolve.ts';
import type { UserOptions } from '../../../src/options/schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
after(() => rmSync(folder, { recursive: true }));

const hooksOf = (sources: Sources) => resolveOptions(sources).options.hooks.module;

function complaint(code: UserOptions): string {
  try {
    resolveOptions({ code });
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
}

test('a file: URL as object or text and an absolute path are understood, alone or as a group', () => {
  const url = 'file:///srv/hooks.mjs';
  for (const said of [new URL(url), url, '/srv/hooks.mjs']) {
    assert.equal(hooksOf({ code: { hooks: said } }), url);
    assert.equal(hooksOf({ code: { hooks: { module: said } } }), url);
  }
  assert.equal(hooksOf({ env: { MILLRACE_HOOKS_MODULE: '/srv/hooks.mjs' } }), url);
  assert.equal(hooksOf({ flags: { 'hooks.module': '/srv/hooks.mjs' } }), url);
  assert.equal(hooksOf({}), undefined);
});

test('in a configuration file a path is relative to it, with the line it was said on', () => {
  const file = join(folder, 'a.yaml');
  const text = [
    'routes:',
    '  - path: /own',
    '    module: ./routes/own.mjs',
    'providers:',
    '  mine: mine.mjs',
    'dialects:',
    '  odd: { module: ../odd.mjs, path: /odd }',
    'hooks:',
    '  module: hooks.mjs',
  ];
  writeFileSync(file, text.join('\n'));
  const { options, origins } = resolveOptions({ file });
  const at = (path: string) => pathToFileURL(join(folder, path)).href;
  assert.deepEqual(options.routes, [{ path: '/own', module: at('routes/own.mjs') }]);
  assert.deepEqual(options.providers, { mine: at('mine.mjs') });
  assert.deepEqual(options.dialects, { odd: { module: at('../odd.mjs'), path: '/odd' } });
  assert.equal(options.hooks.module, at('hooks.mjs'));
  assert.equal(origins.get('hooks.module'), `file ${file}:9:11`);
});

test('anything else is refused with a sentence', () => {
  for (const said of [
    'hooks.mjs',
    './hooks.mjs',
    'https://a/hooks.mjs',
    'data:text/javascript,1',
    '',
  ]) {
    assert.match(
      complaint({ hooks: said }),
      /^hooks\.module must be a file: URL or an absolute path/,
    );
  }
  assert.match(complaint({ hooks: new URL('https://a/b.mjs') }), /must be a file: URL/);
  const wrong = { dialects: { odd: { module: 3, path: 'odd' } } } as unknown as UserOptions;
  assert.match(complaint(wrong), /dialects\.odd\.path must be a text that matches/);
  const names = complaint({ providers: { 'no good': '/a.mjs' } });
  assert.match(names, /^providers must be a group of at most 64 names/);
});

test('an unknown provider is told with the known ones, and no name of ours may be taken', () => {
  const upstream = { name: 'a', url: 'http://a.test/v1' };
  const providers = { mine: '/mine.mjs' };
  const text = complaint({ providers, upstreams: [{ ...upstream, provider: 'mien' }] });
  assert.match(
    text,
    /^upstreams\[0\]\.provider must be one of openai-chat, .*mine, got "mien"; did you mean mine\?/,
  );
  assert.equal(
    complaint({ providers, upstreams: [{ ...upstream, provider: 'mine' }] }),
    'accepted',
  );
  assert.match(complaint({ providers: { 'openai-chat': '/a.mjs' } }), /is a name of millrace/);
  const taken = complaint({ dialects: { chat: { module: '/a.mjs', path: '/a' } } });
  assert.match(taken, /dialects\.chat is a name of millrace/);
});

test('no two may have one path', () => {
  const routes = [{ path: '/chat', module: '/a.mjs' }];
  assert.match(complaint({ routes }), /routes\[0\]\.path must differ from paths\.chat/);
  const dialects = { odd: { module: '/a.mjs', path: '/odd' } };
  const both = complaint({ dialects, routes: [{ path: '/odd', module: '/a.mjs' }] });
  assert.match(both, /dialects\.odd\.path must differ from routes\[0\]\.path/);
});

test("a dialect of the user's is a metric label like ours", () => {
  const { options } = resolveOptions({
    code: { dialects: { odd: { module: '/a.mjs', path: '/odd' } } },
  });
  assert.equal(dimensionsOf(options).dialect.at(-1), 'odd');
});
