/** Goal: what differs is said once, without secrets, and every option says when a change of it holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import { changesOf, refuseFixed } from '../../../src/options/changes.ts';
import { explain } from '../../../src/options/explain.ts';
import { effectOf, effects } from '../../../src/options/live.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import type { UserOptions } from '../../../src/options/schema.ts';

const resolved = (code: UserOptions) => resolveOptions({ code }).options;
const texts = (before: UserOptions, after: UserOptions) =>
  changesOf(resolved(before), resolved(after)).map(({ text }) => text);
const one = { name: 'one', url: 'http://one.test/v1', apiKey: 'secret-one' };
const two = { name: 'two', url: 'http://two.test/v1' };

test('every option says when a change holds, and an unknown one does not', () => {
  for (const { path, effect } of explain()) assert.ok(effects.includes(effect), path);
  assert.equal(effectOf('server.somethingNew'), undefined);
  assert.equal(effectOf('somethingNew.at.all'), undefined);
});

test('the same options have no changes', () => {
  const user = { upstreams: [one, two], keys: ['a-key'], stream: { gapTimeoutMs: 5 } };
  assert.deepEqual(texts(user, structuredClone(user)), []);
});

test('values are told, those of secrets are not', () => {
  const before = { keys: ['old-key'], upstreams: [one], admin: { token: 'old-token' } };
  const after = {
    keys: ['new-key'],
    upstreams: [{ ...one, apiKey: 'secret-two', weight: 4 }],
    admin: { token: 'new-token' },
    stream: { gapTimeoutMs: 7 },
  };
  assert.deepEqual(texts(before, after), [
    'keys changed',
    'stream.gapTimeoutMs 30000 → 7',
    'upstreams.one.apiKey changed',
    'upstreams.one.weight 1 → 4',
    'admin.token changed',
  ]);
});

test('upstreams are known by their names: added, removed, reordered', () => {
  const three = { name: 'three', url: 'http://three.test/v1' };
  assert.deepEqual(texts({ upstreams: [one, two] }, { upstreams: [three, one] }), [
    'upstreams.two removed',
    'upstreams.three added',
  ]);
  assert.deepEqual(texts({ upstreams: [one, two] }, { upstreams: [two, one] }), [
    'upstreams in another order',
  ]);
  assert.deepEqual(texts({ upstreams: [one] }, { upstreams: [{ ...one, healthPath: '/up' }] }), [
    'upstreams.one.healthPath none → "/up"',
  ]);
});

test('what needs a restart is refused all at once; what does not passes', () => {
  const before = resolved({});
  const changes = changesOf(
    before,
    resolved({ server: { port: 1, pingIntervalMs: 500 }, threads: { hungAfterMs: 9_000 } }),
  );
  assert.throws(
    () => refuseFixed(changes),
    (error) =>
      error instanceof MillraceError &&
      error.code === 'MILLRACE_OPTION_FIXED' &&
      error.message ===
        'server.port 8080 → 1: needs a restart\nthreads.hungAfterMs 5000 → 9000: needs a restart',
  );
  refuseFixed(changesOf(before, resolved({ server: { pingIntervalMs: 500 }, upstreams: [one] })));
});
