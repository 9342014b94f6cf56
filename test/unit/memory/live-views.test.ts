/**
 * No live view of shared memory in a decoder: another thread may write there, and decoding memory that changes crashes Node. Nothing
 * throws when it happens, so the source is read for the ways to do it in the folders that see ring payloads and slab pieces.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../../../src', import.meta.url));
const folders = ['main', 'worker', 'coordinator', 'threads', 'memory'];
/** Its bytes come from upstreams' sockets: no ring, no slab. */
const outside = /^worker\/connect\//;

interface Way {
  readonly pattern: RegExp;
  readonly why: string;
  /** Files whose bytes never come out of shared memory. */
  readonly except: readonly string[];
}

const ways: readonly Way[] = [
  {
    pattern: /\bTextDecoder\b|\bStringDecoder\b/,
    why: 'a decoder takes whatever bytes it gets',
    except: ['main/backend/uws-connection.ts'],
  },
  {
    pattern: /\bBuffer\.from\(\s*[\w.#]+\.buffer\b/,
    why: 'it looks at the same memory and does not copy, as Buffer.from(view) does',
    except: [],
  },
  {
    pattern: /\b(?:payload|view)\.(?:toString|latin1Slice|utf8Slice|asciiSlice)\(/,
    why: 'decodes in place: copy first',
    except: [],
  },
  {
    pattern: /\b(?:isUtf8|isAscii|transcode)\(\s*(?:payload|view)\b/,
    why: 'reads the bytes twice: copy first',
    except: [],
  },
];

function complaints(path: string, text: string): string[] {
  return ways
    .filter(({ pattern, except }) => !except.includes(path) && pattern.test(code(text)))
    .map(({ pattern, why }) => `${path}: ${pattern.exec(code(text))?.[0]}: ${why}`);
}

/** Without comments, which may speak of it. */
function code(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

test('no code that sees ring payloads decodes them in place', () => {
  const files = folders.flatMap((folder) => filesIn(join(source, folder)));
  assert.ok(files.length > 20, 'found the source');
  const found = files.flatMap((file) => {
    const path = relative(source, file).split(sep).join('/');
    return outside.test(path) ? [] : complaints(path, readFileSync(file, 'utf8'));
  });
  assert.deepEqual(found, []);
});

for (const line of [
  'const text = new TextDecoder().decode(payload);',
  'JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString());',
  "const reason = payload.toString('utf8');",
  'if (isUtf8(view)) send(view);',
]) {
  test(`refused: ${line}`, () => {
    assert.equal(complaints('worker/some.ts', line).length, 1);
  });
}

test('a copy that is decoded is no complaint', () => {
  assert.deepEqual(complaints('worker/some.ts', 'Buffer.from(payload).toString()'), []);
  assert.deepEqual(complaints('worker/some.ts', '// never new TextDecoder() on it'), []);
});
