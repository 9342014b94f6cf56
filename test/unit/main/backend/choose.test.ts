import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseBackend } from '../../../../src/main/backend/choose.ts';
import { addressText } from '../../../../src/main/backend/handshake.ts';
import { loadNative } from '../../../../src/main/backend/uws-module.ts';
import { uwsFits } from '../../../support/backend/here.ts';

const module = {
  App() {},
  us_listen_socket_close() {},
  us_socket_local_port() {},
  LIBUS_LISTEN_EXCLUSIVE_PORT: 1,
  DISABLED: 0,
};

describe('the choice of a backend', () => {
  it('takes ws when told so, and says so', async () => {
    const { backend, why } = await chooseBackend({ want: 'ws', injected: module });
    assert.equal(backend.name, 'ws');
    assert.match(backend.version, /^8\./);
    assert.match(why, /configured/);
  });

  it('prefers the module that was passed, also as a default export', async () => {
    for (const injected of [module, { default: module }]) {
      const { backend, why } = await chooseBackend({ want: 'auto', injected });
      assert.equal(backend.name, 'uws');
      assert.match(why, /passed by the embedder/);
    }
  });

  it('goes on when what was passed is no uWebSockets.js, and says why', async () => {
    for (const injected of [null, {}, { App: 1 }, 'uWebSockets.js']) {
      const { why } = await chooseBackend({ want: 'auto', injected });
      assert.match(why, /passed by the embedder: it has no App function/);
    }
  });

  it('finds a build that fits, else takes ws, and names its version and what did not load', async () => {
    const { backend, why } = await chooseBackend({ want: 'auto' });
    assert.equal(backend.name, uwsFits ? 'uws' : 'ws');
    assert.match(backend.version, uwsFits ? /^20\.\d+\.\d+$/ : /^8\.\d+\.\d+$/);
    assert.ok(why.includes(backend.version) && !why.includes('\n') && why.length < 600, why);
  });

  it('says which file or package is missing', () => {
    assert.throws(() => loadNative('no-such-package', import.meta.url), /Cannot find module/);
    assert.throws(() => loadNative('ws', import.meta.url), /^Error: ws 8\.\d+\.\d+ has no uws_/);
  });
});

describe('an address as text', () => {
  for (const [given, expected] of [
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['0000:0000:0000:0000:0000:ffff:cb00:7109', '203.0.113.9'],
    ['::FFFF:cb00:7109', '203.0.113.9'],
    ['0000:0000:0000:0000:0000:0000:0000:0001', '::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['', ''],
  ] as const)
    it(`writes ${given || 'nothing'} as ${expected || 'nothing'}`, () => {
      assert.equal(addressText(given), expected);
    });
});
