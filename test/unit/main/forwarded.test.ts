/** Who stands behind proxies: nobody is believed but ours, and those only about the hop they saw. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import * as fc from 'fast-check';
import type { RequestHead } from '../../../src/main/backend/backend.ts';
import { trustedPeers } from '../../../src/main/backend/trusted-peers.ts';
import { clientAddress, type ForwardedHeader } from '../../../src/main/forwarded.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import { seeded } from '../../support/seed.ts';

const ours = trustedPeers(['10.0.0.0/8', '192.0.2.7', '2001:db8:1::/48', '::1']);

function seen(
  value: string | undefined,
  address = '10.0.0.1',
  header: ForwardedHeader = 'x-forwarded-for',
) {
  const head: RequestHead = {
    method: 'GET',
    path: '/',
    query: '',
    header: (name) => (name === header ? value : undefined),
    hosts: 1,
    address,
  };
  return clientAddress(head, header, ours);
}

describe('X-Forwarded-For', () => {
  const cases: readonly [value: string | undefined, client: string, why: string][] = [
    [undefined, '10.0.0.1', 'no header'],
    ['203.0.113.9', '203.0.113.9', 'one hop'],
    ['1.1.1.1, 203.0.113.9', '203.0.113.9', 'what the client itself wrote is not believed'],
    ['1.1.1.1, 203.0.113.9, 10.2.3.4', '203.0.113.9', 'two proxies of ours'],
    ['203.0.113.9, 192.0.2.7, 2001:db8:1::5', '203.0.113.9', 'three, of both families'],
    ['203.0.113.9, 192.0.2.8, 10.0.0.9', '192.0.2.8', 'a stranger between ours'],
    ['10.9.9.9, 10.8.8.8', '10.9.9.9', 'all of them ours: the farthest'],
    ['203.0.113.9:4711', '203.0.113.9', 'with a port'],
    ['[2001:db8:2::9]:4711', '2001:db8:2::9', 'IPv6 with a port'],
    ['2001:0DB8:2:0:0:0:0:9', '2001:db8:2::9', 'IPv6 in its short form'],
    ['::ffff:203.0.113.9', '203.0.113.9', 'IPv4 in IPv6'],
    ['unknown', '10.0.0.1', 'a proxy that does not say'],
    ['203.0.113.9, unknown', '10.0.0.1', 'and nothing behind it'],
    ['203.0.113.9, , 10.0.0.4', '10.0.0.4', 'an empty hop'],
    ['', '10.0.0.1', 'an empty header'],
    ['203.0.113.9 10.0.0.4', '10.0.0.1', 'two in one hop'],
    ['203.0.113.9:70000:1', '10.0.0.1', 'garbage'],
    ['999.1.1.1', '10.0.0.1', 'no address'],
  ];
  for (const [value, client, why] of cases)
    it(`tells ${client} for ${JSON.stringify(value)}: ${why}`, () => {
      assert.equal(seen(value), client);
    });

  it('from a peer that is no proxy of ours is ignored', () => {
    for (const peer of ['203.0.113.66', '192.0.2.8', '2001:db8:2::1', '', 'fe80::1%eth0'])
      assert.equal(seen('127.0.0.1, 10.0.0.1', peer), peer);
  });

  it('is walked a bounded number of hops', () => {
    const hops = Array.from({ length: 1_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`);
    assert.equal(seen(`203.0.113.9, ${hops.join(', ')}`), hops.at(-64));
  });
});

describe('Forwarded', () => {
  const cases: readonly [value: string, client: string][] = [
    ['for=203.0.113.9', '203.0.113.9'],
    ['For="[2001:db8:2::17]:4711"', '2001:db8:2::17'],
    ['for=192.0.2.43, for="203.0.113.9";proto=http;by=10.0.0.3, for=10.0.0.3', '203.0.113.9'],
    ['proto=https;for=203.0.113.9:80', '203.0.113.9'],
    ['for=unknown', '10.0.0.1'],
    ['for=_hidden, for=10.0.0.3', '10.0.0.3'],
    ['for=1.1.1.1;for=2.2.2.2', '10.0.0.1'],
    ['for="1.1.1.1, for=203.0.113.9', '10.0.0.1'],
    ['by="a,b;c";for=203.0.113.9', '203.0.113.9'],
    ['by="\\"";for=203.0.113.9', '203.0.113.9'],
    ['203.0.113.9', '10.0.0.1'],
  ];
  for (const [value, client] of cases)
    it(`tells ${client} for ${value}`, () => {
      assert.equal(seen(value, '10.0.0.1', 'forwarded'), client);
    });
});

test('whatever a client writes in front, the hop that our proxy appended is the client', () => {
  const hop = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constantFrom('', '"', ',', 'for='));
  fc.assert(
    fc.property(fc.array(hop), (written) => {
      const list = [...written.map((each) => each.replaceAll(',', ' ')), '203.0.113.9'];
      assert.equal(seen(list.join(', ')), '203.0.113.9');
    }),
    { seed: seeded('forwarded').seed, numRuns: 500 },
  );
});

test('a proxy is an address or a range, and any other text is refused with its place', () => {
  const refused = (range: string) => {
    try {
      resolveOptions({ code: { server: { trustedProxies: [range] } } });
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  for (const good of [
    '10.0.0.0/8',
    '10.1.2.3',
    '0.0.0.0/0',
    '::/0',
    '2001:db8::/32',
    '::1',
    '10.0.0.1/32',
  ])
    assert.equal(refused(good), undefined, good);
  for (const bad of [
    '',
    'proxy.example',
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    'fe80::1%eth0',
    '*',
  ])
    assert.match(
      refused(bad) ?? 'accepted',
      /^server\.trustedProxies\[0\] must be an address, or a range such as 10\.0\.0\.0\/8, got /,
    );
});
