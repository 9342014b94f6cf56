/**
 * Goal: our reader takes from a response what undici's parser takes, however the network cuts it, and refuses what that refuses. Method: both
 * read every vector whole, in single bytes and cut at every byte; every recording of a real server whole through undici, and through ours cut
 * in two (a sample of cuts; SLOW=1 takes a hundred times as many).
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { Client } from 'undici';
import { MalformedResponse, ResponseReader } from '../../../../src/worker/connect/response.ts';
import { vectors } from './response-vectors.ts';

const slow = process.env['SLOW'] !== undefined;

interface Reading {
  status: number;
  headers: Record<string, string>;
  body: string;
  end: 'end' | 'fail' | '';
}

const blank = (): Reading => ({ status: 0, headers: {}, body: '', end: '' });
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

/** Each piece in memory of its own. */
function ours(pieces: readonly Buffer[]): Reading {
  const got = blank();
  const reader = new ResponseReader({
    head(status, headers) {
      got.status = status;
      got.headers = Object.fromEntries(headers);
    },
    body: (bytes) => void (got.body += Buffer.from(bytes).toString('latin1')),
    done: () => void (got.end = 'end'),
  });
  try {
    for (const piece of pieces) {
      // What follows a complete response closes the connection, and is not read.
      if (got.end === '') reader.push(new Uint8Array(piece));
    }
    if (got.end === '') reader.end();
  } catch (error) {
    if (!(error instanceof MalformedResponse)) throw error;
    got.end = 'fail';
  }
  return got;
}

/** undici over a connection that brings one piece per turn of the loop, and then closes. */
async function theirs(pieces: readonly Buffer[]): Promise<Reading> {
  const got = blank();
  const socket = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
  });
  let handed = false;
  const client = new Client('http://oracle.invalid', {
    headersTimeout: 0,
    bodyTimeout: 0,
    connect(_, callback) {
      if (handed) return callback(new Error('gone'), null);
      handed = true;
      // undici asks of it what a Duplex has.
      queueMicrotask(() => callback(null, socket as never));
    },
  });
  client.dispatch(
    { method: 'POST', path: '/', body: 'x' },
    {
      onRequestStart() {},
      onResponseStart(_, status, headers) {
        if (status < 200) return;
        got.status = status;
        for (const [name, value] of Object.entries(headers)) {
          // undici leaves the spaces behind a value.
          got.headers[name] = [value]
            .flat()
            .map((one = '') => one.trimEnd())
            .join(', ');
        }
      },
      onResponseData: (_, bytes) => void (got.body += bytes.toString('latin1')),
      onResponseEnd: () => void (got.end ||= 'end'),
      onResponseError: () => void (got.end ||= 'fail'),
    },
  );
  await turn();
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.push(piece);
    await turn();
  }
  if (!socket.destroyed) socket.push(null);
  for (let n = 0; n < 50 && got.end === ''; n++) await turn();
  await client.destroy();
  return got;
}

const cutAt = (bytes: Buffer, at: number): Buffer[] => [bytes.subarray(0, at), bytes.subarray(at)];
const single = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.of(byte));

/** Complete answers are the same to the last byte; of broken ones neither says anything that the other contradicts. */
function assertAlike(mine: Reading, oracle: Reading, about: string): void {
  assert.equal(mine.end, oracle.end, about);
  if (mine.end === 'end') return assert.deepEqual(mine, oracle, about);
  const prefix = mine.body.startsWith(oracle.body) || oracle.body.startsWith(mine.body);
  assert.ok(prefix, about);
  if (mine.status !== 0 && oracle.status !== 0) assert.equal(mine.status, oracle.status, about);
}

describe('a response', () => {
  for (const { name, text, stricter, laxer } of vectors) {
    const whole = Buffer.from(text, 'latin1');
    const but = stricter ?? laxer;
    const verdicts = stricter === undefined ? ['end', 'fail'] : ['fail', 'end'];
    const outcome = but === undefined ? 'agree' : `end in ${verdicts.join(' and ')} (${but})`;
    test(`${name}: ours and undici ${outcome}, wherever it is cut`, async () => {
      const mine = ours([whole]);
      const splits = [[whole], single(whole)];
      for (let at = 1; at < whole.length; at++) splits.push(cutAt(whole, at));
      for (const pieces of splits) {
        const about = `in ${pieces.map((piece) => piece.length).join(' + ')} bytes`;
        const oracle = await theirs(pieces);
        assert.deepEqual(ours(pieces), mine, `ours ${about}`);
        if (but === undefined) assertAlike(mine, oracle, about);
        else assert.deepEqual([mine.end, oracle.end], verdicts, about);
      }
    });
  }
});

const folder = new URL('../../../../../test/recordings/', import.meta.url);

test('recordings of real servers: ours and undici agree, and ours wherever they are cut', async () => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const recorded = files.filter((file) => file.endsWith('.http'));
  assert.ok(recorded.length > 100, String(recorded.length));
  for (const file of recorded) {
    const whole = readFileSync(new URL(file, folder));
    const mine = ours([whole]);
    assertAlike(mine, await theirs([whole]), file);
    const bodyAt = whole.indexOf('\r\n\r\n') + 4;
    const beginning = slow ? whole : whole.subarray(0, bodyAt + 600);
    const cut = ours([beginning]);
    for (let at = 1; at < bodyAt + 8; at++) {
      assert.deepEqual(ours(cutAt(beginning, at)), cut, `${file} cut at ${at}`);
    }
    for (let at = bodyAt; at < whole.length; at += Math.ceil(whole.length / (slow ? 2_000 : 20))) {
      assert.deepEqual(ours(cutAt(whole, at)), mine, `${file} cut at ${at}`);
    }
    assert.deepEqual(ours(single(whole)), mine, `${file} in single bytes`);
  }
});
