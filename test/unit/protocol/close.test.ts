import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clipReason } from '../../../src/protocol/close.ts';

test('a reason of 123 bytes stays, a longer one is cut between characters', () => {
  for (const text of ['', 'x'.repeat(123), `${'é'.repeat(61)}x`])
    assert.equal(clipReason(text), text);
  for (const long of ['x'.repeat(124), 'é'.repeat(62), '🌍'.repeat(40), `x${'🌍'.repeat(40)}`]) {
    const cut = clipReason(long);
    assert.ok(Buffer.byteLength(cut) <= 123 && Buffer.byteLength(cut) > 115);
    assert.ok(cut.endsWith('…') && long.startsWith(cut.slice(0, -1)));
    assert.doesNotMatch(cut, /\uFFFD/);
  }
});
