import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import {
  type Accept,
  type AcceptVerdict,
  createAccept,
  refusal,
} from '../../../src/main/accept.ts';
import type { RequestHead } from '../../../src/main/backend/backend.ts';
import { type Options, schema, type UserOptions } from '../../../src/options/schema.ts';
import { origins } from './origin-vectors.ts';

type Headers = Readonly<Record<string, string>>;

function request(headers: Headers = {}, parts: Partial<RequestHead> = {}): RequestHead {
  const all: Headers = { host: '127.0.0.1:8080', ...headers };
  return {
    method: 'GET',
    path: '/chat',
    query: '',
    header: (name) => all[name],
    hosts: 1,
    address: '203.0.113.9',
    ...parts,
  };
}

const resolved = (user: UserOptions = {}): Options => schema.parse(user);

/** Without a check of the application's own the verdict comes at once. */
function decide(accept: Accept, head: RequestHead, nowMs = 0, openSessions = 0): AcceptVerdict {
  const verdict = accept.decide(head, nowMs, openSessions);
  assert.ok(!(verdict instanceof Promise));
  return verdict;
}

function decided(user: UserOptions, head: RequestHead, openSessions = 0): string {
  const verdict = decide(createAccept(resolved(user)), head, 0, openSessions);
  return verdict.kind === 'session' ? `session ${verdict.dialect}` : verdict.error.code;
}

describe('paths', () => {
  it('chooses the dialect by the path', () => {
    const { responses, chat, echo } = resolved().paths;
    assert.equal(decided({}, request({}, { path: responses })), 'session responses');
    assert.equal(decided({}, request({}, { path: chat })), 'session chat');
    assert.equal(decided({}, request({}, { path: echo })), 'session echo');
    assert.equal(decided({ paths: { echo: '/e' } }, request({}, { path: '/e' })), 'session echo');
  });

  it('knows no other path, whatever it looks like', () => {
    for (const path of [
      '/',
      '',
      '/CHAT',
      '/chat/',
      '//chat',
      '/chat/../chat',
      '/%63hat',
      '__proto__',
    ])
      assert.equal(decided({}, request({}, { path })), 'MILLRACE_PATH_UNKNOWN');
  });
});

describe('Host and Origin', () => {
  for (const { name, server, host, origin, expected, hosts = 1 } of origins)
    it(`${expected === 'session' ? 'lets in' : `refuses for its ${expected}`}: ${name}`, () => {
      const headers: Record<string, string> = { host };
      if (origin !== undefined) headers['origin'] = origin;
      const got = decided({ server: server ?? {} }, request(headers, { hosts }));
      const codes = {
        session: 'session chat',
        host: 'MILLRACE_HOST_FORBIDDEN',
        origin: 'MILLRACE_ORIGIN_FORBIDDEN',
      };
      assert.equal(got, codes[expected]);
    });

  it('asks plain requests for their Host too', () => {
    const accept = createAccept(resolved());
    assert.equal(accept.checkHost(request()), undefined);
    assert.equal(
      accept.checkHost(request({ host: 'evil.example' }))?.code,
      'MILLRACE_HOST_FORBIDDEN',
    );
  });

  it('refuses a request without a Host', () => {
    const head = { ...request(), header: () => undefined, hosts: 0 };
    assert.equal(decided({}, head), 'MILLRACE_HOST_FORBIDDEN');
  });
});

describe('keys', () => {
  const keys = ['first-key', 'second-key', 'third key?'.replace(' ', '-')];
  const principal = (headers: Headers, user: UserOptions = { keys }) => {
    const verdict = decide(createAccept(resolved(user)), request(headers));
    return verdict.kind === 'session' ? verdict.principal : verdict.error.code;
  };

  it('asks for none when none is configured', () => {
    assert.equal(principal({}, {}), 'anonymous');
    assert.equal(principal({ authorization: 'Bearer whatever' }, {}), 'anonymous');
  });

  it('asks for them in the demo too', () => {
    const demo = { keys, demo: { enabled: true } };
    assert.equal(principal({}, demo), 'MILLRACE_KEY_MISSING');
    assert.equal(principal({ authorization: 'Bearer wrong' }, demo), 'MILLRACE_KEY_INVALID');
    assert.equal(principal({}, { demo: { enabled: true } }), 'anonymous');
  });

  it('takes each configured key as a bearer token and gives each its own name', () => {
    const names = keys.map((key) => principal({ authorization: `Bearer ${key}` }));
    assert.equal(new Set(names).size, keys.length);
    for (const name of names) assert.match(name, /^[0-9a-f]{16}$/);
    assert.equal(principal({ authorization: 'bearer first-key' }), names[0]);
  });

  it('gives names that are no plain hash of the key', () => {
    const name = principal({ authorization: 'Bearer first-key' });
    for (const algorithm of ['sha256', 'sha1', 'md5'])
      assert.ok(!createHash(algorithm).update('first-key').digest('hex').includes(name));
  });

  it('takes a key from a browser’s subprotocols', () => {
    const offer = 'realtime, openai-insecure-api-key.second-key';
    assert.equal(
      principal({ 'sec-websocket-protocol': offer }),
      principal({ authorization: 'Bearer second-key' }),
    );
  });

  it('refuses what is no key', () => {
    const refused: [Headers, string][] = [
      [{}, 'MILLRACE_KEY_MISSING'],
      [{ authorization: '' }, 'MILLRACE_KEY_MISSING'],
      [{ authorization: 'Bearer ' }, 'MILLRACE_KEY_MISSING'],
      [{ authorization: 'Basic Zmlyc3Qta2V5' }, 'MILLRACE_KEY_MISSING'],
      [{ authorization: 'Bearer first-key, Bearer second-key' }, 'MILLRACE_KEY_MISSING'],
      [{ authorization: 'Bearer first-ke' }, 'MILLRACE_KEY_INVALID'],
      [{ authorization: 'Bearer first-keyy' }, 'MILLRACE_KEY_INVALID'],
      [{ authorization: 'Bearer FIRST-KEY' }, 'MILLRACE_KEY_INVALID'],
      [{ 'sec-websocket-protocol': 'openai-insecure-api-key.' }, 'MILLRACE_KEY_MISSING'],
      [{ 'sec-websocket-protocol': 'openai-insecure-api-key.no' }, 'MILLRACE_KEY_INVALID'],
      [
        {
          authorization: 'Bearer wrong',
          'sec-websocket-protocol': 'openai-insecure-api-key.first-key',
        },
        'MILLRACE_KEY_INVALID',
      ],
      [{ cookie: 'key=first-key', 'x-api-key': 'first-key' }, 'MILLRACE_KEY_MISSING'],
    ];
    for (const [headers, code] of refused)
      assert.equal(principal(headers), code, JSON.stringify(headers));
  });

  it('never repeats a key in a refusal', () => {
    const verdict = decide(
      createAccept(resolved({ keys })),
      request({ authorization: 'Bearer canary-4711' }),
    );
    assert.ok(!JSON.stringify(verdict).includes('canary'));
  });
});

describe('subprotocols', () => {
  const answered = (offer?: string) => {
    const headers: Headers = offer === undefined ? {} : { 'sec-websocket-protocol': offer };
    const verdict = decide(createAccept(resolved()), request(headers));
    assert.ok(verdict.kind === 'session');
    return verdict.protocol;
  };

  it('answers with the first offered, because browsers insist, and not with a key', () => {
    assert.equal(answered(), undefined);
    assert.equal(answered('openai-beta.responses.v1'), 'openai-beta.responses.v1');
    assert.equal(answered('a, b'), 'a');
    assert.equal(answered('openai-insecure-api-key.K, realtime'), 'realtime');
    assert.equal(answered('openai-insecure-api-key.K'), 'openai-insecure-api-key.K');
    assert.equal(answered('a b, c\r\nSet-Cookie: x'), undefined);
  });
});

describe('caps', () => {
  it('refuses the session above the most', () => {
    const user = { server: { sessionsMax: 2 } };
    assert.equal(decided(user, request(), 1), 'session chat');
    assert.equal(decided(user, request(), 2), 'MILLRACE_SESSIONS_EXHAUSTED');
  });

  it('counts sessions per address, and not those of loopback', () => {
    const accept = createAccept(resolved({ server: { sessionsPerAddressMax: 2 } }));
    const kind = (address: string) => decide(accept, request({}, { address })).kind;
    for (const address of ['203.0.113.9', '203.0.113.9', '127.0.0.1', '127.8.8.8', '::1'])
      accept.opened(address);
    assert.equal(kind('203.0.113.9'), 'refuse');
    assert.equal(kind('203.0.113.10'), 'session');
    for (const loopback of ['127.0.0.1', '127.8.8.8', '::1']) {
      for (let i = 0; i < 3; i++) accept.opened(loopback);
      assert.equal(kind(loopback), 'session');
    }
    accept.closed('203.0.113.9');
    assert.equal(kind('203.0.113.9'), 'session');
    const verdict = (accept.opened('203.0.113.9'), decide(accept, request()));
    assert.ok(verdict.kind === 'refuse');
    assert.equal(verdict.error.code, 'MILLRACE_ADDRESS_EXHAUSTED');
    assert.deepEqual([verdict.reply.status, verdict.reply.headers['Retry-After']], [429, '1']);
  });

  it('takes a /64 of IPv6 for one address', () => {
    const accept = createAccept(resolved({ server: { sessionsPerAddressMax: 1 } }));
    const kind = (address: string) => decide(accept, request({}, { address })).kind;
    accept.opened('2001:db8:1:2::1');
    assert.equal(kind('2001:db8:1:2:ffff::9'), 'refuse');
    assert.equal(kind('2001:db8:1:3::1'), 'session');
    accept.opened('2001:db8::1');
    assert.equal(kind('2001:db8:0:0:5::'), 'refuse');
    accept.closed('2001:db8:1:2:3:4:5:6');
    assert.equal(kind('2001:db8:1:2::1'), 'session');
  });

  it('admits so many handshakes a second and says when to come again', () => {
    const accept = createAccept(resolved({ server: { handshakesPerSecondMax: 10 } }));
    const kinds = (count: number, nowMs: number) =>
      Array.from({ length: count }, () => decide(accept, request(), nowMs).kind).filter(
        (kind) => kind === 'session',
      ).length;
    assert.equal(kinds(30, 1_000), 10);
    assert.equal(kinds(30, 1_100), 1);
    assert.equal(kinds(30, 1_050), 0, 'a clock that goes back gives nothing');
    assert.equal(kinds(30, 1_000_000), 10);
    const verdict = decide(accept, request(), 1_000_000);
    assert.ok(verdict.kind === 'refuse');
    assert.equal(verdict.error.code, 'MILLRACE_HANDSHAKES_LIMITED');
    assert.deepEqual(verdict.error.details, { waitMs: 100 });
    assert.equal(verdict.reply.headers['Retry-After'], '1');
  });

  it('spends no handshake on requests that are refused anyway', () => {
    const accept = createAccept(resolved({ server: { handshakesPerSecondMax: 1 } }));
    for (let i = 0; i < 5; i++) {
      decide(accept, request({ host: 'evil.example' }));
      decide(accept, request({ origin: 'http://evil.example' }));
      decide(accept, request({}, { path: '/nothing' }));
    }
    assert.equal(decide(accept, request()).kind, 'session');
    assert.equal(decide(accept, request()).kind, 'refuse');
  });
});

describe('refusal', () => {
  it('has the shape that OpenAI’s clients read', () => {
    const reply = refusal(new MillraceError('MILLRACE_KEY_INVALID', {}));
    assert.equal(reply.status, 401);
    assert.equal(reply.headers['Content-Type'], 'application/json');
    assert.equal(reply.headers['Connection'], 'close');
    assert.equal(reply.headers['WWW-Authenticate'], 'Bearer');
    assert.deepEqual(JSON.parse(String(reply.body)), {
      error: {
        message: 'the API key is not valid here',
        type: 'invalid_request_error',
        code: 'invalid_api_key',
        param: null,
      },
    });
  });

  it('says how to upgrade, and when to come again', () => {
    const plain = refusal(new MillraceError('MILLRACE_UPGRADE_REQUIRED', {}));
    assert.equal(plain.status, 426);
    assert.equal(plain.headers['Upgrade'], 'websocket');
    assert.equal(plain.headers['Sec-WebSocket-Version'], '13');
    assert.equal(plain.headers['Retry-After'], undefined);
    const seconds = (ms: number) =>
      refusal(new MillraceError('MILLRACE_DRAINING', {}), ms).headers['Retry-After'];
    assert.deepEqual([0, 1, 1_000, 1_001, 60_000].map(seconds), ['1', '1', '1', '2', '60']);
  });
});
