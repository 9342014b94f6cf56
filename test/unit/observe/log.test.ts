import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, type Log, silentLog } from '../../../src/observe/log.ts';

type Level = 'silent' | 'error' | 'warn' | 'info' | 'debug';

function recorded(level: Level, write: (log: Log) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLog({ level, streams: true }, { write: (line) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a line is JSON with level as a word, ISO time, facts and text', () => {
  const [line] = recorded('info', (log) => log.info({ port: 1 }, 'listening'));
  assert.equal(line.level, 'info');
  assert.equal(line.name, 'millrace');
  assert.equal(line.port, 1);
  assert.equal(line.msg, 'listening');
  assert.ok(Math.abs(Date.parse(line.time as string) - Date.now()) < 60_000);
});

test('a level shows itself and what is worse', () => {
  const all = (log: Log) => {
    log.debug({}, 'debug');
    log.info({}, 'info');
    log.warn({}, 'warn');
    log.error({}, 'error');
  };
  const shown = (level: Level) => recorded(level, all).map((line) => line.msg);
  assert.deepEqual(shown('debug'), ['debug', 'info', 'warn', 'error']);
  assert.deepEqual(shown('info'), ['info', 'warn', 'error']);
  assert.deepEqual(shown('warn'), ['warn', 'error']);
  assert.deepEqual(shown('error'), ['error']);
  assert.deepEqual(shown('silent'), []);
});

test('secrets are hidden by the name of their key, at any depth and in any spelling', () => {
  const secret = 'top-secret';
  const lines = recorded('info', (log) => {
    log.info({ headers: { Authorization: secret, 'x-api-key': secret, host: 'a' } }, '');
    log.info({ options: { upstreams: [{ apiKey: secret }], keys: [secret] } }, '');
    log.info({ admin: { token: secret }, cookie: secret, 'Set-Cookie': [secret] }, '');
    log.info({ map: new Map([['token', secret]]) }, '');
  });
  assert.equal(lines.length, 4);
  assert.ok(!JSON.stringify(lines).includes(secret), JSON.stringify(lines));
  assert.deepEqual(lines[0].headers, {
    Authorization: '[hidden]',
    'x-api-key': '[hidden]',
    host: 'a',
  });
});

test('secrets are hidden in texts and errors by their look', () => {
  const key = 'sk-abcdefgh12345678';
  const error = new Error(`upstream said: Incorrect API key provided: ${key}`, {
    cause: new Error(`Authorization: Bearer ${key}x`),
  });
  const [line] = recorded('info', (log) => log.error({ error, url: `http://u:${key}@h/` }, 'x'));
  assert.ok(!JSON.stringify(line).includes(key), JSON.stringify(line));
  assert.match((line.error as { message: string }).message, /provided: \[hidden\]$/);
  assert.equal(line.url, 'http://[hidden]@h/');
});

test('a circle in the facts ends, and the caller’s object is not touched', () => {
  const facts: Record<string, unknown> = { token: 'x' };
  facts.self = facts;
  const [line] = recorded('info', (log) => log.info(facts, 'round'));
  assert.equal(line.msg, 'round');
  assert.equal(facts.token, 'x');
});

test('bytes are told by their number, not shown', () => {
  const [line] = recorded('info', (log) => log.info({ body: new Uint8Array(5) }, ''));
  assert.equal(line.body, '[5 bytes]');
});

test('token counts are not secrets', () => {
  const [line] = recorded('info', (log) => log.info({ inputTokens: 3, outputTokens: 5 }, ''));
  assert.equal(line.inputTokens, 3);
  assert.equal(line.outputTokens, 5);
});

test('the silent log takes everything', () => {
  silentLog.debug({}, '');
  silentLog.info({}, '');
  silentLog.warn({}, '');
  silentLog.error({}, '');
});
