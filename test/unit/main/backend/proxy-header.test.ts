/** PROXY headers, versions 1 and 2: taken exactly as written, in whatever pieces, and nothing else is one. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import * as fc from 'fast-check';
import {
  type ProxyHeader,
  parseProxyHeader,
  V1_BYTES_MAX,
  V2_BYTES_MAX,
} from '../../../../src/main/backend/proxy-header.ts';
import { proxyV2 } from '../../../support/backend/proxy-v2.ts';
import { seeded } from '../../../support/seed.ts';

const parse = (bytes: string | Buffer) =>
  parseProxyHeader(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);

/** Cut at every byte it is "more"; whole, and with what follows, the same. */
function atEverySplit(bytes: Buffer): ProxyHeader {
  for (let cut = 0; cut < bytes.length; cut++)
    assert.deepEqual(parse(bytes.subarray(0, cut)), { kind: 'more' }, `cut at ${cut}`);
  const whole = parse(bytes);
  assert.deepEqual(parse(Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1\r\n')])), whole);
  assert.ok(whole.kind !== 'header' || whole.bytes === bytes.length);
  return whole;
}

const source = (header: ProxyHeader) =>
  header.kind === 'header' ? (header.source ?? 'unsaid') : header.kind;

describe('version 1', () => {
  const good: [line: string, source: string][] = [
    ['PROXY TCP4 203.0.113.9 10.0.0.1 56324 443', '203.0.113.9'],
    ['PROXY TCP4 255.255.255.255 0.0.0.0 0 65535', '255.255.255.255'],
    ['PROXY TCP6 2001:db8::9 ::1 1 2', '2001:db8::9'],
    ['PROXY TCP6 2001:0DB8:0:0:0:0:0:9 ::1 1 2', '2001:db8::9'],
    ['PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2', '203.0.113.9'],
    [
      `PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535`,
      `${'ffff:'.repeat(7)}ffff`,
    ],
    ['PROXY UNKNOWN', 'unsaid'],
    [`PROXY UNKNOWN ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535`, 'unsaid'],
  ];
  for (const [line, told] of good)
    it(`takes "${line}"`, () => {
      assert.equal(source(atEverySplit(Buffer.from(`${line}\r\n`))), told);
    });

  const bad = [
    'PROXY TCP4 203.0.113.9 10.0.0.1 56324 443 \r\n',
    'PROXY  TCP4 203.0.113.9 10.0.0.1 56324 443\r\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 56324\r\n',
    'PROXY TCP4 203.0.113.009 10.0.0.1 56324 443\r\n',
    'PROXY TCP4 203.0.113.256 10.0.0.1 56324 443\r\n',
    'PROXY TCP4 2001:db8::9 ::1 1 2\r\n',
    'PROXY TCP6 203.0.113.9 10.0.0.1 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 65536 443\r\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 056 443\r\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 -1 443\r\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 1e3 443\r\n',
    'PROXY UDP4 203.0.113.9 10.0.0.1 1 2\r\n',
    'PROXY tcp4 203.0.113.9 10.0.0.1 1 2\r\n',
    'PROXY \r\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r ',
    'PROXY TCP4 203.0.113.9 10.0.0.1 1 2\n',
    'PROXY TCP4 203.0.113.9\u0000 10.0.0.1 1 2\r\n',
    `PROXY UNKNOWN ${'x'.repeat(V1_BYTES_MAX)}`,
    `PROXY UNKNOWN ${'x'.repeat(V1_BYTES_MAX - 15)}\r\n`,
  ];
  for (const line of bad)
    it(`refuses ${JSON.stringify(line.slice(0, 60))}`, () => {
      assert.equal(parse(line).kind, 'invalid');
    });

  it('is refused as soon as its line is too long, and taken at its longest', () => {
    const longest = `PROXY UNKNOWN ${'x'.repeat(V1_BYTES_MAX - 16)}\r\n`;
    assert.equal(longest.length, V1_BYTES_MAX);
    assert.equal(parse(longest).kind, 'header');
    assert.equal(parse('PROXY '.padEnd(V1_BYTES_MAX - 1, 'x')).kind, 'more');
    assert.equal(parse('PROXY '.padEnd(V1_BYTES_MAX, 'x')).kind, 'invalid');
  });
});

describe('version 2', () => {
  it('tells the source of a TCP connection, and skips additions', () => {
    const tlv = Buffer.from([4, 0, 3, 1, 2, 3, 1, 0, 0]);
    assert.equal(source(atEverySplit(proxyV2({ source: '203.0.113.9' }))), '203.0.113.9');
    assert.equal(source(atEverySplit(proxyV2({ source: '203.0.113.9', tlv }))), '203.0.113.9');
    assert.equal(source(atEverySplit(proxyV2({ source: '2001:db8::9', tlv }))), '2001:db8::9');
    assert.equal(source(parse(proxyV2({ source: '::ffff:203.0.113.9' }))), '203.0.113.9');
  });

  it('says nothing of the source for local connections, sockets in files, and what is not told', () => {
    assert.equal(source(atEverySplit(proxyV2({ command: 0x20, family: 0 }))), 'unsaid');
    assert.equal(source(parse(proxyV2({ command: 0x20, source: '203.0.113.9' }))), 'unsaid');
    assert.equal(source(parse(proxyV2({ command: 0x20, family: 0x77 }))), 'unsaid');
    assert.equal(source(parse(proxyV2({ family: 0x31, body: Buffer.alloc(216) }))), 'unsaid');
    assert.equal(source(parse(proxyV2({ family: 0, body: Buffer.alloc(9, 255) }))), 'unsaid');
  });

  it('is refused when it is not whole or not of a connection', () => {
    const refused = [
      proxyV2({ command: 0x11, source: '203.0.113.9' }),
      proxyV2({ command: 0x22, source: '203.0.113.9' }),
      proxyV2({ family: 0x12, body: Buffer.alloc(12) }),
      proxyV2({ family: 0x41, body: Buffer.alloc(12) }),
      proxyV2({ family: 0x11, body: Buffer.alloc(11) }),
      proxyV2({ family: 0x21, body: Buffer.alloc(35) }),
      proxyV2({ family: 0x31, body: Buffer.alloc(215) }),
      proxyV2({ source: '203.0.113.9', tlv: Buffer.from([4, 0, 2, 1]) }),
      proxyV2({ source: '203.0.113.9', tlv: Buffer.from([4]) }),
    ];
    for (const bytes of refused) assert.equal(parse(bytes).kind, 'invalid', bytes.toString('hex'));
  });

  it('is refused as soon as its length is above the most', () => {
    const most = proxyV2({ family: 0, body: Buffer.alloc(V2_BYTES_MAX) });
    assert.equal(parse(most).kind, 'header');
    const above = proxyV2({ family: 0, body: Buffer.alloc(V2_BYTES_MAX + 1) });
    assert.equal(parse(above.subarray(0, 16)).kind, 'invalid');
  });
});

test('a request is no header, from its first byte that differs', () => {
  for (const text of [
    'GET / HTTP/1.1\r\n',
    'POST /',
    'PRI * HTTP/2.0',
    'PROXX',
    '\r\nGET',
    '\u0016\u0003\u0001',
  ])
    assert.equal(parse(text).kind, 'none', text);
  for (const text of ['', 'P', 'PROXY', '\r', '\r\n\r\n'])
    assert.equal(parse(text).kind, 'more', text);
});

test('any bytes are judged without a throw, and a judgement stands whatever follows', () => {
  const start = fc.constantFrom(
    'PROXY ',
    'PROXY TCP4 ',
    'PROXY TCP6 ',
    proxyV2({ source: '1.2.3.4' }).toString('latin1'),
    '',
  );
  const rest = fc.uint8Array({ maxLength: 300 });
  const property = fc.property(start, rest, fc.nat(40), (text, more, cut) => {
    const head = Buffer.from(text, 'latin1');
    const bytes = Buffer.concat([head.subarray(0, Math.max(0, head.length - cut)), more]);
    let settled: ProxyHeader | undefined;
    for (let length = 0; length <= bytes.length; length++) {
      const judged = parse(bytes.subarray(0, length));
      if (settled) assert.deepEqual(judged.kind, settled.kind);
      else if (judged.kind !== 'more') settled = judged;
      if (judged.kind === 'header') assert.ok(judged.bytes <= length);
    }
  });
  fc.assert(property, { seed: seeded('proxy header').seed, numRuns: 2_000 });
});
