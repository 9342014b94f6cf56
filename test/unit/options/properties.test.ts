/** Goal: whatever somebody writes, options are resolved or refused in our words, and no secret comes back. Method: fast-check. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MillraceError } from '../../../src/errors.ts';
import { explain } from '../../../src/options/explain.ts';
import { resolveOptions, type Sources } from '../../../src/options/resolve.ts';
import { seeded } from '../../support/seed.ts';

const { seed } = seeded('options');
const SECRET = 'sk-never-show-this';

const keys = [...new Set(explain().flatMap(({ path }) => path.split(/\.|\[\]\.?/)))].filter(
  (key) => key !== '',
);
const key = fc.oneof(
  fc.constantFrom(...keys),
  fc.string({ maxLength: 8 }),
  fc.constant('__proto__'),
);
const value = fc.oneof(
  fc.constantFrom(
    SECRET,
    `http://u:${SECRET}@h/`,
    '',
    '/',
    'http://a/v1',
    null,
    true,
    -1,
    1e9,
    0.5,
  ),
  fc.integer(),
  fc.double(),
);
const tree = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    value,
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(key, tie('node'), { maxKeys: 4 }),
  ),
})).node;

function outcome(sources: Sources): string {
  try {
    resolveOptions(sources);
    return '';
  } catch (error) {
    assert.ok(error instanceof MillraceError, `not ours: ${String(error)}`);
    assert.ok(error.message.length > 0);
    return error.message;
  }
}

test('any object in code is resolved or refused with a MillraceError that shows no secret', () => {
  fc.assert(
    fc.property(fc.dictionary(key, tree, { maxKeys: 4 }), (code) => {
      const message = outcome({ code });
      // A text in a place that is no secret may be shown.
      for (const secret of ['keys', 'apiKey', 'token']) {
        const line = new RegExp(`^[^\\n]*\\b${secret}\\b[^\\n]*${SECRET}`, 'm');
        assert.doesNotMatch(message, line);
      }
      assert.ok(!message.includes(`:${SECRET}@`), message);
    }),
    { seed, numRuns: process.env.SLOW ? 20_000 : 400 },
  );
});

test('any text in any environment name is resolved or refused with a MillraceError', () => {
  const names = explain().flatMap(({ env }) => env ?? []);
  const env = fc.dictionary(
    fc.oneof(
      fc.constantFrom(...names),
      fc.string().map((text) => `MILLRACE_${text}`),
    ),
    fc.oneof(fc.string(), fc.json(), fc.integer().map(String)),
    { maxKeys: 4 },
  );
  fc.assert(
    fc.property(env, (said) => void outcome({ env: said })),
    { seed, numRuns: process.env.SLOW ? 20_000 : 400 },
  );
});

test('a resolved object resolves to itself, from any valid integers', () => {
  const rows = explain().filter(({ path, kind }) => kind === 'integer' && !/[[*]/.test(path));
  const chosen = fc.tuple(
    ...rows.map(({ minimum = 0, maximum = 0 }) => fc.integer({ min: minimum, max: maximum })),
  );
  fc.assert(
    fc.property(chosen, (numbers) => {
      const flags: Record<string, unknown> = Object.fromEntries(
        rows.map(({ path }, at) => [path, numbers[at]]),
      );
      // Only powers of two, and what must exceed another option.
      flags['memory.ringBytes'] = 65_536;
      flags['server.pingIntervalMs'] = 100;
      flags['server.port'] = 1;
      flags['admin.port'] = 2;
      flags['server.idleTimeoutMs'] = 2 ** 31 - 1;
      flags['threads.hungAfterMs'] = 2 ** 31 - 1;
      const fixed = Object.keys(flags).filter((path) =>
        /\.port|ringBytes|pingInt|idleTim|hungAfter/.test(path),
      );
      const { options } = resolveOptions({ flags });
      assert.deepEqual(resolveOptions({ code: options }).options, options);
      for (const [at, { path }] of rows.entries()) {
        if (fixed.includes(path)) continue;
        const value = path
          .split('.')
          .reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], options);
        assert.equal(value, numbers[at], path);
      }
    }),
    { seed, numRuns: 50 },
  );
});
