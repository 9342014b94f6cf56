/** Goal: each mistake has its own sentence that helps. Method: the table of mistakes.ts, each resolved for real. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import type { UserOptions } from '../../../src/options/schema.ts';
import { type Mistake, mistakes } from './mistakes.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-mistakes-'));
after(() => rmSync(folder, { recursive: true }));

function said({ file, path: named, env, flags, code }: Mistake): string[] {
  const written = file && join(folder, file[0]);
  if (written !== undefined) writeFileSync(written, file?.[1] ?? '');
  const path = named === undefined ? written : join(folder, named);
  try {
    resolveOptions({
      ...(path === undefined ? {} : { file: path }),
      env: env ?? {},
      ...(flags ? { flags } : {}),
      ...(code === undefined ? {} : { code: code as UserOptions }),
    });
  } catch (error) {
    assert.ok(error instanceof MillraceError, String((error as Error).stack));
    const text = written === undefined ? error.message : error.message.replaceAll(written, 'FILE');
    return text.replaceAll(folder, 'FOLDER').split('\n');
  }
  return [];
}

for (const mistake of mistakes) {
  test(`${mistake.what} has its sentence`, () => {
    assert.deepEqual(said(mistake), mistake.says);
  });
}

test('no two mistakes share a name, and no sentence shows a secret', () => {
  assert.ok(mistakes.length >= 60);
  assert.equal(new Set(mistakes.map(({ what }) => what)).size, mistakes.length);
  for (const mistake of mistakes) assert.doesNotMatch(said(mistake).join(), /sk-/, mistake.what);
});
