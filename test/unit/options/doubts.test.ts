/** Goal: what is most likely not meant is said, and nothing that is meant. Method: each doubt, and its nearest neighbour. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineOf } from '../../../src/options/complain.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import type { UserOptions } from '../../../src/options/schema.ts';

const doubts = (code: UserOptions) => resolveOptions({ code }).warnings.map(lineOf);
const upstream = (more: object) => ({ upstreams: [{ name: 'a', url: 'https://a/v1', ...more }] });

const cases: readonly [what: string, doubtful: UserOptions, says: string, fine: UserOptions][] = [
  [
    'a gateway for everybody',
    { server: { host: '0.0.0.0' } },
    'keys asks for no key, and server.host (0.0.0.0) is reachable from elsewhere: whoever comes is served',
    { server: { host: '0.0.0.0' }, keys: ['k'] },
  ],
  [
    'an open admin port',
    { admin: { host: '10.0.0.1' } },
    'admin.host (10.0.0.1) is reachable from elsewhere, and metrics and status ask for no key (code)',
    { admin: { host: '10.0.0.1', enabled: false } },
  ],
  [
    'a URL with the path of the request',
    upstream({ url: 'https://a/v1/chat/completions' }),
    'upstreams[0].url ends in /chat/completions, which millrace adds by itself; say the part before it (code)',
    upstream({ url: 'https://a/chat/v1' }),
  ],
  [
    'a key that travels in the open',
    upstream({ url: 'http://a/v1', apiKey: 'k' }),
    'upstreams[0].url sends its apiKey without encryption; https:// hides it on the way (code)',
    upstream({ url: 'http://127.0.0.1/v1', apiKey: 'k' }),
  ],
  [
    'Bearer in a key',
    upstream({ apiKey: 'Bearer sk-secret' }),
    'upstreams[0].apiKey begins with "Bearer", which millrace adds by itself (code)',
    upstream({ apiKey: 'Bearersecret' }),
  ],
  [
    'a clock behind the deadline',
    { stream: { deadlineMs: 1_000, firstDeltaTimeoutMs: 1_001 } },
    'stream.firstDeltaTimeoutMs (1001) never strikes: stream.deadlineMs (1000) does before (code)',
    { stream: { deadlineMs: 1_000, firstDeltaTimeoutMs: 1_000 } },
  ],
  [
    'probes that overlap',
    { balance: { healthCheckIntervalMs: 100, healthTimeoutMs: 101 } },
    'balance.healthTimeoutMs (101) is more than balance.healthCheckIntervalMs (100): probes of one upstream would wait for one another (code)',
    { balance: { healthCheckIntervalMs: 100, healthTimeoutMs: 100 } },
  ],
];

for (const [what, doubtful, says, fine] of cases) {
  test(`${what} is doubted, and what only resembles it is not`, () => {
    assert.deepEqual(doubts(doubtful), [says]);
    assert.deepEqual(doubts(fine), []);
  });
}

test('the defaults are beyond doubt', () => {
  assert.deepEqual(doubts({}), []);
});

test('one port for gateway and admin is refused where their hosts meet', () => {
  const both = (host: string, adminHost: string, port = 5_000) => ({
    server: { host, port },
    admin: { host: adminHost, port },
  });
  for (const [host, admin] of [
    ['127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1'],
    ['127.0.0.1', '::'],
  ]) {
    assert.throws(() => resolveOptions({ code: both(host, admin) }), {
      message: 'admin.port must differ from server.port, got 5000 (code)',
    });
  }
  resolveOptions({ code: both('127.0.0.1', '127.0.0.2') });
  resolveOptions({ code: both('127.0.0.1', '127.0.0.1', 0) });
  resolveOptions({
    code: { ...both('a', 'a'), admin: { ...both('a', 'a').admin, enabled: false } },
  });
});
