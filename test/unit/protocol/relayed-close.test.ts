/** Which close code the other side gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeForBackEnd, codeForClient, isAbnormal, maySend } from '../../../src/protocol/close.ts';

test('codes that a frame may carry pass as they are; 1002 and 1010 belong to one connection', () => {
  for (const code of [1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 4999]) {
    assert.equal(codeForClient(code), code);
    assert.equal(codeForBackEnd(code), code);
  }
  for (const code of [1002, 1010, 1006, 1015, 999, 2000, 5000]) {
    assert.equal(codeForClient(code), 1014);
    assert.equal(codeForBackEnd(code), 1001);
  }
});

test('a close frame without a code is an orderly end', () => {
  assert.equal(codeForClient(1005), 1000);
  assert.equal(codeForBackEnd(1005), undefined);
});

test('whatever is passed on may be sent', () => {
  for (let code = 990; code < 5_010; code++) {
    assert.ok(maySend(codeForClient(code)), `${code}`);
    assert.ok(maySend(codeForBackEnd(code) ?? 1000), `${code}`);
  }
});

test('failures of a back end are told from its answers', () => {
  const all = Array.from({ length: 20 }, (_, n) => 1000 + n);
  assert.deepEqual(all.filter(isAbnormal), [1006, 1011, 1012, 1013, 1014]);
});
