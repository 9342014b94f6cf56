import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { createLog } from '../../../src/observe/log.ts';
import { prettyLine } from '../../../src/observe/pretty.ts';

function shown(facts: object, text: string, format: 'auto' | 'pretty'): string {
  let out = '';
  const log = createLog({ level: 'info', format }, { write: (line) => void (out += line) });
  log.info(facts, text);
  return out;
}

test('a line for people: time, level, sentence, facts', () => {
  const line = shown({ event: 'x', upstream: 'one', tries: [1] }, 'hello there', 'pretty');
  assert.match(
    stripVTControlCharacters(line),
    /^\d\d:\d\d:\d\d\.\d{3} info {2}hello there upstream=one tries=\[1\]\n$/,
  );
});

test('a line to anything but a terminal stays JSON', () => {
  assert.equal((JSON.parse(shown({ a: 1 }, 'x', 'auto')) as { a: number }).a, 1);
});

test('control characters of others do not reach the terminal', () => {
  const line = shown({ model: 'a\u001b[31mred\r\nforged\u0085' }, 'say \u0007', 'pretty');
  const plain = stripVTControlCharacters(line);
  assert.equal(plain.split('\n').length, 2);
  assert.match(plain, /model=a\\u001b\[31mred\\u000d\\u000aforged\\u0085/);
  assert.match(plain, /say \\u0007/);
});

test('a stack stands below its line, and what is no JSON passes', () => {
  const line = shown({ stack: 'Error: x\n    at y' }, 'fault', 'pretty');
  assert.ok(stripVTControlCharacters(line).endsWith('\nError: x\n    at y\n'));
  assert.equal(prettyLine('plain\n'), 'plain\n');
});
