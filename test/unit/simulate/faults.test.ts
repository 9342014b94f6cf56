import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directivesIn } from '../../../src/simulate/directives.ts';
import {
  describeFault,
  faultNames,
  mergeFaults,
  parseFaults,
} from '../../../src/simulate/faults.ts';

const invalid = { code: 'MILLRACE_FIELD_INVALID' };

test('faults are read from text: flags, numbers, texts and sizes', () => {
  assert.deepEqual(parseFaults('status=429 retry-after=2; html  split=1,7,3'), {
    status: 429,
    'retry-after': '2',
    html: true,
    split: [1, 7, 3],
  });
  assert.deepEqual(parseFaults(''), {});
});

test('a fault that does not exist or has a senseless value is refused by name', () => {
  const senseless =
    'resett-after=1,status=x,status,status=,html=1,split=0,split=1.5,split=,framing=lfcr,status=-1,content-type,constructor,__proto__=1,rate=2147483648';
  for (const text of senseless.split(',')) assert.throws(() => parseFaults(text), invalid, text);
  assert.throws(() => parseFaults('resett-after=1'), /reset-after/);
});

test('every fault has a sentence of its own', () => {
  const sentences = faultNames.map(describeFault);
  assert.equal(new Set(sentences).size, faultNames.length);
});

test('later faults win one by one, and faults for another server fall out', () => {
  const merged = mergeFaults(
    'a',
    { rate: 1, html: true },
    undefined,
    { rate: 2 },
    { only: 'b', rate: 3 },
  );
  assert.deepEqual(merged, { rate: 2, html: true });
  assert.deepEqual(mergeFaults('b', { rate: 1 }, { only: 'b', rate: 3 }), { only: 'b', rate: 3 });
});

test('directives stand on lines of their own; other lines and handles mean nothing', () => {
  const prompt =
    'Hello @tokens 3\r\n@tokens 5\r\n@someone hi\n@tool f {"a": 1}\n@tool g\n@reason\n@refuse\n@finish length';
  assert.deepEqual(directivesIn(prompt, 'a'), {
    tools: [{ name: 'f', arguments: '{"a": 1}' }, { name: 'g' }],
    tokens: 5,
    reason: true,
    refuse: true,
    finish: 'length',
  });
});

test('an echo understands escapes and leaves what is not one alone', () => {
  const echo = (text: string) => directivesIn(`@echo ${text}`, 'a').echo;
  assert.equal(echo('a\\n"b" \\u00e9 \\\\'), 'a\n"b" é \\');
  assert.equal(echo('C:\\x'), 'C:\\x');
  assert.equal(echo('plain "quoted"'), 'plain "quoted"');
  assert.equal(directivesIn('@echo', 'a').echo, '');
});

test('a wish for tokens holds at its bound and fails above', () => {
  assert.equal(directivesIn('@tokens 0', 'a').tokens, 0);
  assert.equal(directivesIn('@tokens 100000', 'a').tokens, 100_000);
  for (const text of ['@tokens 100001', '@tokens -1', '@tokens 1.5', '@tokens', '@tokens x'])
    assert.throws(() => directivesIn(text, 'a'), invalid, text);
});

test('faults in a prompt are merged over several lines, for the server they name', () => {
  const prompt = '@fault rate=5\n@fault only=b status=500\n@fault only=a html';
  assert.deepEqual(directivesIn(prompt, 'a').faults, { rate: 5, html: true, only: 'a' });
});
