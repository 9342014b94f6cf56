/** Goal: whatever a client wishes for, it gets something it wished for or identity with the reason, and is answered with nothing it did not offer. Method: cases, and random wishes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { dictionaryFor } from '../../../src/codec/dictionary-table.ts';
import {
  type EncodingTerms,
  encodingNames,
  negotiate,
  refusalReasons,
} from '../../../src/codec/negotiate.ts';

const all: EncodingTerms = { isOn: true, served: () => true, dialect: 'responses', isText: true };
const hash = dictionaryFor('responses')?.hash ?? '';
const ask = (query: string, protocols: string[] = [], terms: Partial<EncodingTerms> = {}) =>
  negotiate(query, protocols, { ...all, ...terms });

test('the first wish that can be granted is, with the reason of the first that could not', () => {
  assert.equal(ask(''), undefined);
  assert.equal(ask('model=x'), undefined);
  assert.equal(ask('encoding='), undefined);
  assert.deepEqual(ask('encoding=gzip'), { encoding: 'gzip', told: 'gzip' });
  const served = (name: string) => name !== 'zstd';
  assert.deepEqual(ask('encoding=zstd,lzma,brotli,gzip', [], { served }), {
    encoding: 'brotli',
    reason: 'source',
    told: 'brotli; refused=source',
  });
  assert.deepEqual(ask('a=b&encoding=gzip&encoding=brotli'), { encoding: 'gzip', told: 'gzip' });
  assert.deepEqual(ask('encoding=identity,gzip'), { told: 'identity' });
  assert.deepEqual(ask('encoding=gzip', [], { isOn: false }), {
    reason: 'off',
    told: 'identity; refused=off',
  });
  assert.equal(ask('encoding=gzip', [], { isText: false })?.reason, 'dialect');
  assert.equal(ask('encoding=GZIP')?.reason, 'unknown');
});

test('a dictionary is the newest of the dialect, or the one that is named', () => {
  for (const wish of [
    'zstd+dict',
    'zstd%2Bdict',
    `zstd%2Bdict.${hash}`,
    `zstd+dict.${hash.slice(0, 16)}`,
  ]) {
    assert.equal(ask(`encoding=${wish}`)?.dictionary, hash, wish);
  }
  for (const wish of [`zstd+dict.${hash.slice(0, 15)}`, 'zstd+dict.', `zstd+dict.x${hash}`]) {
    assert.equal(ask(`encoding=${wish}`)?.reason, 'dictionary', wish);
  }
  assert.equal(ask('encoding=zstd+dict', [], { dialect: 'mine' })?.reason, 'dictionary');
  assert.equal(ask(`encoding=gzip.${hash}`)?.reason, 'unknown');
});

test('a subprotocol is granted by its own name; what the query grants is answered by none', () => {
  const wishes = ['other', 'millrace.encoding.zstd', 'millrace.encoding.identity'];
  assert.equal(ask('', wishes)?.protocol, 'millrace.encoding.zstd');
  assert.equal(ask('', wishes, { served: () => false })?.protocol, 'millrace.encoding.identity');
  assert.equal(ask('encoding=gzip', wishes)?.protocol, undefined);
  assert.equal(ask('', ['other']), undefined);
});

test('random wishes: granted ones were wished for and are possible, others say why', () => {
  const name = fc.oneof(fc.constantFrom(...encodingNames, 'identity', 'lzma', ''), fc.string());
  const lists = fc.record({
    query: fc.array(name, { maxLength: 12 }),
    protocols: fc.array(name, { maxLength: 12 }),
    served: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
    isOn: fc.boolean(),
    isText: fc.boolean(),
  });
  fc.assert(
    fc.property(lists, ({ query, protocols, served, isOn, isText }) => {
      const offered = protocols.map((each) => `millrace.encoding.${each}`);
      const isServed = (each: string) => served[encodingNames.indexOf(each as never)];
      const asked = query.length === 0 ? '' : `encoding=${query.map(encodeURIComponent).join(',')}`;
      const agreed = ask(asked, offered, { isOn, isText, served: isServed });
      if (!agreed) return;
      const { encoding, protocol, reason, told } = agreed;
      if (protocol !== undefined) assert.ok(offered.includes(protocol));
      if (encoding !== undefined) {
        assert.ok(isOn && isText && isServed(encoding));
        assert.ok(told.startsWith(encoding));
        assert.equal(agreed.dictionary !== undefined, encoding === 'zstd+dict');
      } else assert.ok(told.startsWith('identity'));
      if (reason !== undefined) assert.ok(refusalReasons.includes(reason));
      assert.doesNotMatch(told, /[\r\n]/);
    }),
    { numRuns: process.env['SLOW'] === '1' ? 20_000 : 1_000 },
  );
});
