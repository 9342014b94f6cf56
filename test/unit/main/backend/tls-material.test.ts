/** What is wrong with a certificate is said in a sentence of its own, before any server sees it. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { MillraceError } from '../../../../src/errors.ts';
import { loadTls, matchServerName } from '../../../../src/main/backend/tls-material.ts';
import { resolveOptions } from '../../../../src/options/resolve.ts';
import type { UserOptions } from '../../../../src/options/schema.ts';
import { Certificates } from '../../../support/certificates.ts';

type UserTls = NonNullable<NonNullable<UserOptions['server']>['tls']>;

const made = new Certificates();
after(() => made.remove());
const a = made.make('a');
const b = made.make('b', ['b.test', '*.b.test']);
const locked = made.encrypt(a.keyFile, 'canary-secret');

const load = (tls: UserTls, wallMs = Date.now()) =>
  loadTls(resolveOptions({ code: { server: { tls } } }).options.server.tls, wallMs);

function refusal(tls: UserTls): string {
  try {
    load(tls);
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof MillraceError && error.code === 'MILLRACE_TLS_INVALID');
    assert.ok(!error.message.includes('canary'));
    return error.message.replaceAll(`${made.folder}/`, '');
  }
}

function file(name: string, text: string | Uint8Array): string {
  const path = made.path(name);
  writeFileSync(path, text);
  return path;
}

describe('certificates and keys', () => {
  it('are taken apart or in one file, in the clear or encrypted, with comments around them', () => {
    assert.equal(load({}), undefined);
    assert.equal(load(a)?.warnings.length, 0);
    const both = file(
      'both.pem',
      `note\n${readFileSync(a.keyFile, 'latin1')}\n${readFileSync(a.certFile, 'latin1')}end`,
    );
    assert.equal(refusal({ certFile: both }), 'accepted');
    assert.equal(
      refusal({ certFile: a.certFile, keyFile: locked, passphrase: 'canary-secret' }),
      'accepted',
    );
  });

  it('that cannot be used are each refused with their own sentence', () => {
    const cut = readFileSync(a.certFile, 'latin1');
    mkdirSync(made.path('folder'));
    const damaged = cut.replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAAAAAAAAAAAAAAAAAA');
    const cases: [UserTls, string][] = [
      [{ certFile: made.path('none.crt') }, 'none.crt does not exist'],
      [{ certFile: made.path('folder') }, 'folder is a directory'],
      [{ certFile: file('empty.crt', '') }, 'empty.crt is empty'],
      [
        { certFile: file('big.crt', 'x'.repeat(2 ** 20 + 1)) },
        'big.crt is too large for a certificate or key',
      ],
      [{ certFile: file('junk.crt', 'not a certificate') }, 'junk.crt holds no certificate in PEM'],
      [
        { certFile: file('bytes.crt', Buffer.from([0x30, 0x82, 0, 1])) },
        'bytes.crt holds no certificate in PEM',
      ],
      [{ certFile: a.keyFile }, 'a.key holds no certificate in PEM'],
      [{ certFile: file('damaged.crt', damaged) }, 'certificate 1 in damaged.crt is damaged'],
      [
        { certFile: file('chain.crt', cut + damaged), keyFile: a.keyFile },
        'certificate 2 in chain.crt is damaged',
      ],
      [{ certFile: a.certFile }, 'a.crt holds no private key in PEM'],
      [{ certFile: a.certFile, keyFile: made.path('no.key') }, 'no.key does not exist'],
      [
        { certFile: a.certFile, keyFile: b.keyFile },
        'the key in b.key does not belong to the certificate in a.crt',
      ],
      [
        { certFile: a.certFile, keyFile: locked },
        'the key in a.key.enc is encrypted, and no passphrase is given',
      ],
      [
        { certFile: a.certFile, keyFile: locked, passphrase: 'canary-wrong' },
        'the key in a.key.enc cannot be opened with the passphrase given',
      ],
      [
        {
          certFile: a.certFile,
          keyFile: file('cut.key', readFileSync(a.keyFile, 'latin1').replace(/\n[^-]{10}/, '\n')),
        },
        'the key in cut.key is damaged',
      ],
      [{ ...a, caFile: file('ca.pem', 'none') }, 'ca.pem holds no certificate in PEM'],
      [{ keyFile: a.keyFile }, 'a.key is of no use without server.tls.certFile'],
      [{ sni: [{ serverName: 'b.test', ...b }] }, 'b.crt is of no use without server.tls.certFile'],
      [
        {
          ...a,
          sni: [
            { serverName: 'B.test', ...b },
            { serverName: 'b.test', ...b },
          ],
        },
        'server.tls.sni names b.test twice',
      ],
      [
        { ...a, sni: [{ serverName: 'b.test', certFile: b.certFile, keyFile: a.keyFile }] },
        'the key in a.key does not belong to the certificate in b.crt',
      ],
    ];
    for (const [tls, reason] of cases) assert.equal(refusal(tls), `cannot speak TLS: ${reason}`);
    assert.equal(new Set(cases.map(([, reason]) => reason)).size, cases.length);
  });

  it('that have ended, begin later or are for another name are used with a warning', () => {
    const year = 365 * 24 * 3_600_000;
    assert.match(load(a, Date.now() + year)?.warnings.join() ?? '', /a\.crt has ended on /);
    assert.match(load(a, Date.now() - year)?.warnings.join() ?? '', /a\.crt begins only on /);
    const sni = (serverName: string) => load({ ...a, sni: [{ serverName, ...b }] })?.warnings;
    assert.deepEqual(sni('b.test'), []);
    assert.deepEqual(sni('*.b.test'), []);
    assert.match(sni('c.test')?.join() ?? '', /b\.crt is not for c\.test/);
  });

  it('passphrases never appear in what is wrong with the options', () => {
    copyFileSync(a.certFile, made.path('copy.crt'));
    assert.throws(
      () => resolveOptions({ code: { server: { tls: { passphrase: '', certFile: 5 as never } } } }),
      ({ message }: Error) => /server\.tls\.passphrase must be .*\(hidden\)/.test(message),
    );
  });
});

it('a name is matched itself first, then by a star for its first part only', () => {
  const names = new Map([
    ['a.test', 1],
    ['*.a.test', 2],
    ['x.a.test', 3],
  ]);
  const match = (name: string) => matchServerName(name, names);
  assert.deepEqual(
    [
      'a.test',
      'A.TEST',
      'y.a.test',
      'x.a.test',
      'y.x.a.test',
      'test',
      '',
      '.a.test',
      '*.a.test',
    ].map(match),
    [1, 1, 2, 3, undefined, undefined, undefined, undefined, 2],
  );
});
