import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelsReply } from '../../../src/main/models.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';

function listed(...upstreams: readonly string[][]): unknown {
  const { options } = resolveOptions({
    code: {
      upstreams: upstreams.map((models, at) => ({ name: `u${at}`, url: 'http://a/v1', models })),
    },
  });
  const reply = modelsReply(options);
  assert.equal(reply.status, 200);
  assert.equal(reply.headers['Content-Type'], 'application/json');
  return JSON.parse(String(reply.body)) as unknown;
}

test('without upstreams the list is empty', () => {
  assert.deepEqual(listed(), { object: 'list', data: [] });
});

test('a model served by two upstreams is listed once, in the order of the configuration', () => {
  const model = (id: string) => ({ id, object: 'model', created: 0, owned_by: 'millrace' });
  assert.deepEqual(listed(['b', 'a'], ['a', 'c'], []), {
    object: 'list',
    data: [model('b'), model('a'), model('c')],
  });
});
