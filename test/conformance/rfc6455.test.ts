/**
 * RFC 6455 over every implementation of the backend contract. uWebSockets.js drops a connection that breaks a rule without a close frame (the
 * client sees 1006); the code that says which rule is told to us by both. Every other difference is written in its case.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Implementation,
  implementations,
  type Served,
  serve,
} from '../support/backend/serve.ts';
import { frame, opcode, RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { type FrameCase, groups } from './rfc6455-cases.ts';

const AT_ONCE = 40;

for (const implementation of implementations) {
  const { label, missing } = implementation;
  describe(`RFC 6455 over ${label}`, { skip: missing ?? false }, () => {
    for (const [group, cases] of Object.entries(groups))
      it(`${group}: ${cases.length} cases`, async (t) => {
        const served = await serve(t, implementation);
        const wrong: string[] = [];
        for (let i = 0; i < cases.length; i += AT_ONCE) {
          const batch = cases
            .slice(i, i + AT_ONCE)
            .map((one) => judge(one, implementation, served));
          wrong.push(...(await Promise.all(batch)).flat());
        }
        assert.deepEqual(wrong, []);
        assert.deepEqual(served.faults, []);
      });
  });
}

/** What went otherwise than the case says; nothing: it passed. */
async function judge(
  one: FrameCase,
  implementation: Implementation,
  served: Served,
): Promise<string[]> {
  const other = implementation.name === 'uws' ? one.uws : undefined;
  const end = other?.end ?? one.end;
  const echoes = other?.echoes ?? one.echoes ?? [];
  const client = await RawClient.open(served.port);
  const { localPort } = client.socket;
  for (const bytes of one.send) client.write(bytes);
  const sync = 'are you there?';
  if (end === 'open') client.write(frame({ opcode: opcode.ping, payload: sync }));
  // A pong may overtake an echo that waits for the socket: control frames may come in between (RFC 6455 section 5.4).
  const heard = () =>
    client.frames.filter((each) => each.opcode === opcode.text || each.opcode === opcode.binary);
  const last = () =>
    client.frames.some(({ payload }) => payload.toString() === sync) &&
    heard().length >= echoes.length;
  if (end === 'silent') return silence(one, client);
  const over = end === 'open' ? last : () => client.ended || client.closeCode !== undefined;
  try {
    await until(over, one.name, 3_000);
    return compare(one.name, client, end, echoes, one.pongs ?? [], sync, implementation);
  } catch {
    return [`${one.name}: nothing came (port ${localPort})`];
  } finally {
    client.reset();
  }
}

async function silence(one: FrameCase, client: RawClient): Promise<string[]> {
  await new Promise((resolve) => setTimeout(resolve, 300)); // nothing may come
  const quiet = !client.ended && client.frames.length === 0;
  client.reset();
  return quiet ? [] : [`${one.name}: not silent`];
}

function compare(
  name: string,
  client: RawClient,
  end: FrameCase['end'],
  echoes: readonly (Uint8Array | string)[],
  pongs: readonly (Uint8Array | string)[],
  sync: string,
  implementation: Implementation,
): string[] {
  const hex = (payloads: readonly (Uint8Array | string)[]) =>
    payloads.map((payload) => Buffer.from(payload).toString('hex')).join();
  const got = (...codes: number[]) =>
    hex(client.frames.filter((one) => codes.includes(one.opcode)).map(({ payload }) => payload));
  const pairs: [string, unknown, unknown][] = [
    ['echoes', got(opcode.text, opcode.binary), hex(echoes)],
    ['pongs', got(opcode.pong), hex(end === 'open' ? [...pongs, sync] : pongs)],
    ['close code', client.closeCode, closeCode(end, implementation)],
  ];
  return pairs
    .filter(([what, actual, expected]) => {
      if (actual === expected) return false;
      return !(what === 'echoes' && actual === '' && mayBeLost(end, implementation));
    })
    .map(
      ([what, actual, expected]) =>
        `${name}: ${what} ${String(actual).slice(0, 80)}, not ${String(expected).slice(0, 80)}`,
    );
}

/** A session that the core drops loses what it had not yet written of the same turn. */
function mayBeLost(end: FrameCase['end'], { name }: Implementation): boolean {
  return name === 'uws' && typeof end === 'object' && 'broken' in end;
}

function closeCode(end: FrameCase['end'], { name }: Implementation): number | undefined {
  if (typeof end === 'string') return undefined;
  if ('answered' in end) return end.answered;
  return name === 'ws' ? end.broken : undefined;
}
