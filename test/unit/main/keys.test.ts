/** Keys with names, rights and ends; an application's own check beside them; guesses that are bounded. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import { type AcceptVerdict, createAccept } from '../../../src/main/accept.ts';
import type { RequestHead } from '../../../src/main/backend/backend.ts';
import type { Identity } from '../../../src/main/keyring.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import type { Options, UserOptions } from '../../../src/options/schema.ts';

const resolved = (code: UserOptions): Options => resolveOptions({ code }).options;

function request(
  key: string | undefined,
  path = '/chat',
  headers: Readonly<Record<string, string>> = {},
  address = '203.0.113.9',
): RequestHead {
  const all: Record<string, string> = { host: 'localhost', ...headers };
  if (key !== undefined) all['authorization'] = `Bearer ${key}`;
  const header = (name: string) => all[name];
  return { method: 'GET', path, query: '', header, hosts: 1, address };
}

function code(found: Identity | MillraceError | AcceptVerdict | Promise<unknown>): string {
  assert.ok(!(found instanceof Promise));
  if (found instanceof MillraceError) return found.code;
  if ('kind' in found) return found.kind === 'session' ? 'session' : found.error.code;
  return found.keyName ?? found.principal;
}

describe('a key in the options', () => {
  const options = resolved({
    keys: [
      'plain',
      { name: 'team', key: 'k-team', models: ['a', 'b-*'], sessionsMax: 2 },
      { name: 'chatter', key: 'k-chat', paths: ['chat'] },
      { name: 'lister', key: 'k-list', paths: ['/v1/models'] },
      { name: 'off', key: 'k-off', disabled: true },
      { name: 'ended', key: 'k-ended', expiresAt: '2020-01-01T00:00:00Z' },
    ],
  });

  it('has a name and rights, which its sessions carry', () => {
    const verdict = createAccept(options).decide(request('k-team'), 0, 0);
    assert.ok(!(verdict instanceof Promise) && verdict.kind === 'session');
    const { principal, keyName, rights, byKey } = verdict;
    assert.match(principal, /^[0-9a-f]{16}$/);
    assert.deepEqual([keyName, rights, byKey], ['team', { models: ['a', 'b-*'] }, true]);
    assert.ok(!JSON.stringify(verdict).includes('k-team'));
  });

  it('written as a text has no name and every right', () => {
    const verdict = createAccept(options).decide(request('plain'), 0, 0);
    assert.ok(!(verdict instanceof Promise) && verdict.kind === 'session');
    assert.equal(verdict.keyName, undefined);
    assert.equal(verdict.rights, undefined);
  });

  it('that names paths opens no other, and is asked for only after it was recognised', () => {
    const accept = createAccept(options);
    const at = (key: string, path: string) => code(accept.decide(request(key, path), 0, 0));
    assert.equal(at('k-chat', '/chat'), 'session');
    assert.equal(at('k-chat', '/ws'), 'MILLRACE_PATH_FORBIDDEN');
    assert.equal(at('k-list', '/chat'), 'MILLRACE_PATH_FORBIDDEN');
    assert.equal(at('k-none', '/ws'), 'MILLRACE_KEY_INVALID');
    assert.equal(code(accept.identify(request('k-list', '/v1/models'), 0)), 'lister');
    assert.equal(
      code(accept.identify(request('k-chat', '/v1/models'), 0)),
      'MILLRACE_PATH_FORBIDDEN',
    );
    assert.equal(code(accept.identify(request('k-chat', '/elsewhere'), 0, 'chat')), 'chatter');
  });

  it('that is disabled or has ended is refused exactly as one that never was', () => {
    const accept = createAccept(options);
    const answers = ['k-off', 'k-ended', 'k-never'].map((key) => {
      const verdict = accept.decide(request(key), 0, 0);
      assert.ok(!(verdict instanceof Promise) && verdict.kind === 'refuse');
      return JSON.stringify(verdict.reply);
    });
    assert.equal(new Set(answers).size, 1);
    assert.match(answers[0], /invalid_api_key/);
  });

  it('ends by the wall clock, to the millisecond', () => {
    let wall = Date.parse('2030-01-01T00:00:00Z') - 1;
    const keys = [{ name: 'soon', key: 'k', expiresAt: '2030-01-01T00:00:00Z' }];
    const accept = createAccept(resolved({ keys }), { wall: () => wall });
    const verdict = accept.decide(request('k'), 0, 0);
    assert.ok(!(verdict instanceof Promise) && verdict.kind === 'session');
    assert.equal(accept.stillHolds(verdict), true);
    wall++;
    assert.equal(code(accept.decide(request('k'), 0, 0)), 'MILLRACE_KEY_INVALID');
    assert.equal(accept.stillHolds(verdict), false);
  });

  it('holds at most its own number of sessions', () => {
    const accept = createAccept(options);
    const verdict = accept.decide(request('k-team'), 0, 0);
    assert.ok(!(verdict instanceof Promise) && verdict.kind === 'session');
    const { principal } = verdict;
    accept.opened('198.51.100.1', principal);
    assert.equal(code(accept.decide(request('k-team'), 0, 1)), 'session');
    accept.opened('198.51.100.2', principal);
    assert.equal(code(accept.decide(request('k-team'), 0, 2)), 'MILLRACE_KEY_EXHAUSTED');
    assert.equal(code(accept.decide(request('plain'), 0, 2)), 'session');
    accept.closed('198.51.100.2', principal);
    assert.equal(code(accept.decide(request('k-team'), 0, 1)), 'session');
  });

  it('may not be there twice, nor may a name, and no message repeats it', () => {
    const twice = (keys: UserOptions['keys']) => {
      try {
        resolved({ keys });
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.match(
      twice(['canary', { name: 'a', key: 'canary' }]),
      /^keys\[1\]\.key must differ from keys\[0\]/,
    );
    assert.match(
      twice([
        { name: 'a', key: 'x' },
        { name: 'a', key: 'y' },
      ]),
      /^keys\[1\]\.name must differ/,
    );
    assert.ok(!twice(['canary', 'canary']).includes('canary'));
    assert.equal(twice(['a', 'b']), '');
  });
});

describe('changed options', () => {
  it('take away what a removed or disabled key had opened, and nothing else', () => {
    const key = { name: 'a', key: 'k-a' };
    const accept = createAccept(resolved({ keys: [key, 'k-b'] }));
    const sessions = ['k-a', 'k-b'].map((each) => {
      const verdict = accept.decide(request(each), 0, 0);
      assert.ok(!(verdict instanceof Promise) && verdict.kind === 'session');
      return verdict;
    });
    const hold = () => sessions.map((session) => accept.stillHolds(session));
    accept.reconfigure(resolved({ keys: ['k-b', 'k-c', key] }));
    assert.deepEqual(hold(), [true, true]);
    accept.reconfigure(resolved({ keys: [{ ...key, disabled: true }, 'k-b'] }));
    assert.deepEqual(hold(), [false, true]);
    assert.equal(code(accept.decide(request('k-a'), 0, 0)), 'MILLRACE_KEY_INVALID');
    accept.reconfigure(resolved({ keys: ['k-c'] }));
    assert.deepEqual(hold(), [false, false]);
    // Without any key everybody may come, but these came by theirs.
    accept.reconfigure(resolved({}));
    assert.deepEqual(hold(), [false, false]);
  });

  it('that ask for keys for the first time end the sessions that have none', () => {
    const accept = createAccept(resolved({}));
    assert.equal(accept.stillHolds({ principal: 'anonymous' }), true);
    accept.reconfigure(resolved({ keys: ['k'] }));
    assert.equal(accept.stillHolds({ principal: 'anonymous' }), false);
  });

  it('keep the count of what is held', () => {
    const keys = (sessionsMax: number) => [{ name: 'a', key: 'k', sessionsMax }];
    const accept = createAccept(resolved({ keys: keys(2) }));
    const verdict = accept.decide(request('k'), 0, 0);
    assert.ok(!(verdict instanceof Promise) && verdict.kind === 'session');
    accept.opened('198.51.100.1', verdict.principal);
    accept.reconfigure(resolved({ keys: keys(1) }));
    assert.equal(code(accept.decide(request('k'), 0, 1)), 'MILLRACE_KEY_EXHAUSTED');
  });
});

describe('an application’s own check', () => {
  const keys = ['k'];

  it('may answer later, and only then is the verdict a promise', async () => {
    const accept = createAccept(resolved({ keys }), {
      authenticate: (_head, found) =>
        found instanceof MillraceError ? Promise.resolve({ principal: 'guest' }) : found,
    });
    assert.equal(code(accept.decide(request('k'), 0, 0)), 'session');
    const later = accept.decide(request('other'), 0, 0);
    assert.ok(later instanceof Promise);
    const verdict = await later;
    assert.ok(verdict.kind === 'session');
    assert.equal(verdict.principal, 'guest');
    assert.equal(accept.stillHolds(verdict), true, 'no key took it in, none takes it out');
  });

  it('may refuse what the keyring takes, and a rejection comes through', async () => {
    const refused = new MillraceError('MILLRACE_KEY_INVALID', {});
    const no = createAccept(resolved({ keys }), { authenticate: () => Promise.resolve(refused) });
    const verdict = await no.decide(request('k'), 0, 0);
    assert.equal(verdict.kind, 'refuse');
    const broken = createAccept(resolved({ keys }), {
      authenticate: () => Promise.reject(new Error('its directory is away')),
    });
    await assert.rejects(async () => broken.decide(request('k'), 0, 0), /directory is away/);
  });

  it('is not asked about a foreign Host, Origin or path', () => {
    let asked = 0;
    const accept = createAccept(resolved({ keys }), {
      authenticate: (_head, found) => (asked++, found),
    });
    void accept.decide(request('k', '/nothing'), 0, 0);
    void accept.decide(request('k', '/chat', { host: 'evil.example' }), 0, 0);
    void accept.decide(request('k', '/chat', { origin: 'http://evil.example' }), 0, 0);
    void accept.identify(request('k', '/chat', { origin: 'http://evil.example' }), 0);
    assert.equal(asked, 0);
  });
});

describe('guessing', () => {
  it('from one address is refused for the rest of the second, right keys too', () => {
    const accept = createAccept(
      resolved({ keys: ['k'], server: { authFailuresPerAddressMax: 3 } }),
    );
    const at = (key: string | undefined, ms: number, address?: string) =>
      code(accept.decide(request(key, '/chat', {}, address), ms, 0));
    for (let n = 0; n < 3; n++) assert.equal(at(`guess-${n}`, 10), 'MILLRACE_KEY_INVALID');
    assert.equal(at('guess-4', 500), 'MILLRACE_AUTH_LIMITED');
    assert.equal(at('k', 1_009), 'MILLRACE_AUTH_LIMITED');
    assert.equal(at('k', 1_009, '203.0.113.10'), 'session');
    assert.equal(code(accept.identify(request('k'), 900)), 'MILLRACE_AUTH_LIMITED');
    assert.equal(at('k', 1_010), 'session');
  });

  it('does not count who showed no key at all', () => {
    const accept = createAccept(
      resolved({ keys: ['k'], server: { authFailuresPerAddressMax: 1 } }),
    );
    for (let n = 0; n < 5; n++)
      assert.equal(code(accept.decide(request(undefined), n, 0)), 'MILLRACE_KEY_MISSING');
    assert.equal(code(accept.decide(request('k'), 9, 0)), 'session');
  });

  it('takes a /64 of IPv6 for one address, and is not bounded without the option', () => {
    const accept = createAccept(
      resolved({ keys: ['k'], server: { authFailuresPerAddressMax: 1 } }),
    );
    const from = (address: string) =>
      code(accept.decide(request('no', '/chat', {}, address), 0, 0));
    assert.equal(from('2001:db8::1'), 'MILLRACE_KEY_INVALID');
    assert.equal(from('2001:db8::2'), 'MILLRACE_AUTH_LIMITED');
    const free = createAccept(resolved({ keys: ['k'] }));
    for (let n = 0; n < 50; n++)
      assert.equal(code(free.decide(request('no'), 0, 0)), 'MILLRACE_KEY_INVALID');
  });
});
