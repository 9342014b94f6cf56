/** Certificates that change while millrace runs. */
import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import type { Listening } from '../../../src/main/backend/backend.ts';
import type { TlsMaterial } from '../../../src/main/backend/tls-material.ts';
import { TlsKeeper } from '../../../src/main/tls-keeper.ts';
import { schema } from '../../../src/options/schema.ts';
import { Certificates } from '../../support/certificates.ts';
import { until } from '../../support/until.ts';

const made = new Certificates();
after(() => made.remove());

async function kept(watchMs = 1_000) {
  const { certFile, keyFile } = made.make('served');
  const { server } = schema.parse({ server: { tls: { certFile, keyFile, watchMs } } });
  const told = {
    renewed: 0,
    warned: [] as string[],
    failed: [] as string[],
    waits: [] as number[],
  };
  const given: TlsMaterial[] = [];
  let due: (() => void) | undefined;
  const keeper = new TlsKeeper({
    tls: server.tls,
    clock: { wall: () => Date.now() },
    random: { next: () => 0.5 },
    ticker: {
      after(ms, task) {
        told.waits.push(ms);
        due = task;
        return () => (due = undefined);
      },
    },
    renewed: () => void told.renewed++,
    warn: (text) => void told.warned.push(text),
    failed: ({ message }) => void told.failed.push(message),
  });
  const listening: Listening = {
    host: '127.0.0.1',
    port: 1,
    renew: async (tls) => void given.push(tls),
    unlisten() {},
    close: () => Promise.resolve(),
  };
  assert.ok(await keeper.load());
  keeper.keep(listening);
  /** The time to look has come. */
  const look = async () => {
    const task = due;
    due = undefined;
    task?.();
    await until(() => due, 'the next look');
  };
  return { keeper, told, given, look, certFile, keyFile, watching: () => due !== undefined };
}

test('files that change are read and handed on; files that do not are left alone', async () => {
  const { told, given, look } = await kept();
  await look();
  assert.equal(given.length, 0);
  made.make('served');
  await look();
  assert.equal(given.length, 1);
  assert.equal(told.renewed, 1);
  await look();
  assert.equal(given.length, 1);
  assert.deepEqual(new Set(told.waits), new Set([1_000]));
});

test('a certificate whose key has not come yet is told once and taken when it has', async () => {
  const { told, given, look, certFile, keyFile } = await kept();
  const next = made.make('next');
  copyFileSync(next.certFile, certFile);
  await look();
  await look();
  assert.deepEqual([given.length, told.failed.length], [0, 1]);
  assert.match(told.failed[0], /does not belong to the certificate/);
  copyFileSync(next.keyFile, keyFile);
  await look();
  assert.deepEqual([given.length, told.renewed], [1, 1]);
});

test('when asked to, everything is read again; what is wrong comes back and the old stays', async () => {
  const { keeper, told, given, certFile, keyFile } = await kept(0);
  const changed = (tls: object) => schema.parse({ server: { tls } });
  assert.equal(await keeper.reconfigure(changed({ certFile, keyFile, watchMs: 0 })), undefined);
  assert.equal(given.length, 1);
  const error = await keeper.reconfigure(changed({ certFile: made.path('gone'), watchMs: 0 }));
  assert.equal(error?.code, 'MILLRACE_TLS_INVALID');
  writeFileSync(certFile, '');
  const empty = await keeper.reconfigure(changed({ certFile, keyFile }));
  assert.match(empty?.message ?? '', /is empty/);
  await keeper.reconfigure(changed({}));
  assert.match(told.warned.join(), /at the next start only/);
  assert.equal(given.length, 1);
});

test('nobody looks at the files when told never to, nor after the end', async () => {
  const never = await kept(0);
  assert.equal(never.watching(), false);
  const { keeper, watching } = await kept();
  assert.equal(watching(), true);
  keeper.stop();
  assert.equal(watching(), false);
});
