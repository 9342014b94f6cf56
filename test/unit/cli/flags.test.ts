/** Goal: every flag reaches its own option with its value. Method: each is parsed by the library that parses the command line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { addFlags, flagsOf } from '../../../src/cli/flags.ts';
import { explain, type OptionRow } from '../../../src/options/explain.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';

function parse(...args: string[]): Record<string, unknown> {
  const command = new Command('serve').exitOverride();
  addFlags(command);
  command.parse(args, { from: 'user' });
  return flagsOf(command);
}

/** A value that the option takes, other than its default. */
function other(row: OptionRow): string {
  if (row.path === 'memory.ringBytes') return '65536';
  if (row.path === 'server.trustedProxies') return '10.0.0.1,10.0.0.0/8';
  if (row.path === 'server.idleTimeoutMs' || row.path === 'threads.hungAfterMs')
    return '2000000000';
  switch (row.kind) {
    case 'integer':
      return String((row.minimum ?? 0) + 1);
    case 'number':
      return '0.75';
    case 'boolean':
      return String(row.fallback !== true);
    case 'choice':
      return row.choices.find((choice) => choice !== row.fallback) ?? String(row.fallback);
    case 'list':
      return 'a,b';
    case 'text':
    case 'objects':
    case 'names':
      return '/other';
  }
  return '';
}

const flagged = explain().filter(({ flag }) => flag !== undefined);

test('each flag alone says one option, and the option gets the value', () => {
  assert.ok(flagged.length > 40);
  for (const row of flagged) {
    const said = other(row);
    const flags = parse(row.flag ?? '', said);
    assert.deepEqual(flags, { [row.path]: said }, row.flag);
    const rule = row.path.replace(/(exact|paced)$/, '');
    // A limit that counts exactly is a small window, and one that paces a leaky bucket.
    const companions: Record<string, Record<string, unknown>> = {
      [`${rule}exact`]: {
        [`${rule}algorithm`]: 'SlidingWindow',
        [`${rule}maxRequestsPerSecond`]: 1,
      },
      [`${rule}paced`]: { [`${rule}algorithm`]: 'LeakyBucket', [`${rule}maxBurst`]: 9 },
    };
    const { origins } = resolveOptions({ flags: { ...companions[row.path], ...flags } });
    assert.equal(origins.get(row.path), `flag ${row.flag}`);
  }
});

test('the form with an equals sign is the same', () => {
  for (const row of flagged) {
    const said = other(row);
    assert.deepEqual(parse(`${row.flag}=${said}`), { [row.path]: said }, row.flag);
  }
});

test('a boolean flag without a value says true, and the last of several wins', () => {
  assert.deepEqual(parse('--page'), { 'server.page': true });
  assert.deepEqual(parse('--page', '--port', '1'), { 'server.page': true, 'server.port': '1' });
  assert.deepEqual(parse('--port', '1', '--port', '2'), { 'server.port': '2' });
});

test('nothing said is nothing', () => {
  assert.deepEqual(parse(), {});
});
