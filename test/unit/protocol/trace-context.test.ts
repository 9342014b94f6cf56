/** W3C Trace Context, read strictly: what breaks the grammar is no trace at all, and what is passed on is bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  boundTracestate,
  formatTraceparent,
  parseTraceparent,
} from '../../../src/protocol/trace-context.ts';
import { runs } from '../../support/runs.ts';

const T = '4bf92f3577b34da6a3ce929d0e0e4736';
const P = '00f067aa0ba902b7';

test('a traceparent of version 00 is read', () => {
  assert.deepEqual(parseTraceparent(`00-${T}-${P}-01`), { traceId: T, parentId: P, flags: 1 });
  assert.deepEqual(parseTraceparent(`00-${T}-${P}-00`, 'a=1,b=2'), {
    traceId: T,
    parentId: P,
    flags: 0,
    state: 'a=1,b=2',
  });
});

test('a later version is read as far as it is known', () => {
  for (const header of [`cc-${T}-${P}-01`, `01-${T}-${P}-09-what-ever`]) {
    assert.deepEqual(parseTraceparent(header), { traceId: T, parentId: P, flags: 1 });
  }
});

test('whatever breaks the grammar is no trace', () => {
  for (const broken of [
    '',
    'no',
    `ff-${T}-${P}-01`,
    `00-${'0'.repeat(32)}-${P}-01`,
    `00-${T}-${'0'.repeat(16)}-01`,
    `00-${T.toUpperCase()}-${P}-01`,
    `00-${T}-${P}-0`,
    `00-${T}-${P}-01-`,
    `00-${T}-${P}-01-more`,
    `00-${T}-${P}-01.`,
    `01-${T}-${P}-01.`,
    ` 00-${T}-${P}-01`,
    `00-${T}-${P}-01\n`,
    `00-${T}x-${P}-01`,
    `0-${T}-${P}-01`,
    `00-${T}-${P}-zz`,
    `00-${T}-${P}-01, 00-${T}-${P}-01`,
    `cc-${T}-${P}-01-${'x'.repeat(1_000)}`,
  ]) {
    assert.equal(parseTraceparent(broken), undefined, JSON.stringify(broken));
  }
  assert.equal(parseTraceparent(undefined), undefined);
});

test('what is written is read back', () => {
  const hex = (chars: number) =>
    fc
      .array(fc.constantFrom(...'0123456789abcdef'.split('')), {
        minLength: chars,
        maxLength: chars,
      })
      .map((all) => all.join(''))
      .filter((text) => /[1-9a-f]/.test(text));
  fc.assert(
    fc.property(hex(32), hex(16), fc.boolean(), (traceId, parentId, sampled) => {
      const flags = sampled ? 1 : 0;
      const read = parseTraceparent(formatTraceparent(traceId, parentId, flags));
      assert.deepEqual(read, { traceId, parentId, flags });
    }),
    runs(200, 5_000),
  );
});

test('a tracestate passes whole, without empty members', () => {
  assert.equal(boundTracestate('a=1'), 'a=1');
  assert.equal(boundTracestate('fw529a3039@dt=FfAQ, vendor=x=y ,,b=2'), undefined, 'a second =');
  assert.equal(boundTracestate(' fw529a3039@dt=FfAQ , ,b=2'), 'fw529a3039@dt=FfAQ,b=2');
});

test('a tracestate that breaks the grammar goes nowhere', () => {
  for (const broken of [
    '',
    ',',
    'a',
    'A=1',
    '=1',
    'a=',
    'a=ä',
    'a=1\r\nx: y',
    'a=1\u0000',
    'a@b@c=1',
  ]) {
    assert.equal(boundTracestate(broken), undefined, JSON.stringify(broken));
  }
  assert.equal(boundTracestate(undefined), undefined);
});

test('a long tracestate loses whole members from its right end: at most 512 characters and 32 members', () => {
  const member = (n: number) => `k${n}=${'v'.repeat(60)}`;
  const many = Array.from({ length: 40 }, (_, n) => member(n));
  const bounded = boundTracestate(many.join(',')) ?? '';
  assert.ok(bounded.length <= 512 && bounded.length > 440, `${bounded.length}`);
  assert.ok(many.join(',').startsWith(`${bounded},`));
  const short = Array.from({ length: 33 }, (_, n) => `k${n}=v`).join(',');
  assert.equal(boundTracestate(short)?.split(',').length, 32);
  assert.equal(boundTracestate(`k=${'v'.repeat(256)},a=${'w'.repeat(251)}`)?.length, 512);
  assert.equal(boundTracestate(`k=${'v'.repeat(256)},a=${'w'.repeat(252)}`)?.length, 258);
});
