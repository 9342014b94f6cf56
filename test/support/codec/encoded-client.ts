/**
 * A client that asks for an encoding, as docs/PROTOCOL.md describes it: text is as it is, a binary message is a compressed text one.
 * It fetches its dictionary over HTTP, and its codecs are called directly, not through the engine's choice of sources.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import * as zlib from 'node:zlib';
import type { Coder, Dictionary } from '../../../src/codec/codec.ts';
import { loadSource, sourceNames } from '../../../src/codec/sources.ts';
import { open, type TestClient } from '../client.ts';

export interface EncodedClient {
  readonly client: TestClient;
  /** What the server said came of the wishes. */
  readonly told: string | undefined;
  readonly protocol: string;
  /** How many messages came compressed, and as text. */
  readonly counts: { compressed: number; plain: number; wireBytes: number; textBytes: number };
  /** Sends an object compressed. */
  send(message: object): void;
  /** Sends bytes as they are, as a binary message. */
  sendRaw(bytes: Uint8Array): void;
  next(): Promise<Record<string, unknown>>;
  /** Up to and including the first of this type. */
  until(type: string): Promise<Record<string, unknown>[]>;
}

interface Pair {
  pack(bytes: Uint8Array): Uint8Array;
  unpack(bytes: Uint8Array): Uint8Array;
}

function zstd(dictionary?: Dictionary): Pair {
  const found = sourceNames
    .map((name) => loadSource(name).source?.coders.zstd)
    .filter((coder): coder is Coder => coder !== undefined)
    .find(({ claims }) => !dictionary || claims.dictionary);
  assert.ok(found, 'no zstd here');
  return {
    pack: (bytes) => found.compress(bytes, 3, dictionary),
    unpack: (bytes) => found.decompress(bytes, 2 ** 26, dictionary),
  };
}

const plain: Readonly<Record<string, Pair>> = {
  gzip: { pack: (b) => zlib.gzipSync(b), unpack: (b) => zlib.gunzipSync(b) },
  deflate: { pack: (b) => zlib.deflateSync(b), unpack: (b) => zlib.inflateSync(b) },
  brotli: { pack: (b) => zlib.brotliCompressSync(b), unpack: (b) => zlib.brotliDecompressSync(b) },
};

async function dictionaryFrom(url: string, hash: string): Promise<Dictionary> {
  const reply = await fetch(new URL(`/dictionaries/${hash}`, url.replace('ws:', 'http:')));
  assert.equal(reply.status, 200);
  assert.match(reply.headers.get('cache-control') ?? '', /immutable/);
  const bytes = new Uint8Array(await reply.arrayBuffer());
  assert.equal(createHash('sha256').update(bytes).digest('hex'), hash);
  return { hash, bytes };
}

async function pairOf(url: string, told: string | undefined): Promise<Pair | undefined> {
  const [, name = ''] = /^([\w+]+)/.exec(told ?? '') ?? [];
  if (name === 'zstd') return zstd();
  if (name !== 'zstd+dict') return plain[name];
  const [, hash = ''] = /dictionary=(\w+)/.exec(told ?? '') ?? [];
  return zstd(await dictionaryFrom(url, hash));
}

/** `url` may name wishes in its query; `protocols` are wishes as subprotocols. */
export async function openEncoded(url: string, protocols: string[] = []): Promise<EncodedClient> {
  let head: IncomingMessage | undefined;
  const opening = open(url, {
    protocols,
    ws: {
      finishRequest: (request) => {
        request.once('upgrade', (response: IncomingMessage) => (head = response));
        request.end();
      },
    },
  });
  const client = await opening;
  const told = head?.headers['millrace-encoding'] as string | undefined;
  const pair = await pairOf(url, told);
  const counts = { compressed: 0, plain: 0, wireBytes: 0, textBytes: 0 };
  async function next(): Promise<Record<string, unknown>> {
    const { binary, bytes } = await client.next();
    counts[binary ? 'compressed' : 'plain'] += 1;
    assert.ok(!binary || pair, 'compressed, though nothing was agreed on');
    const text = binary && pair ? Buffer.from(pair.unpack(bytes)) : bytes;
    counts.wireBytes += bytes.byteLength;
    counts.textBytes += text.byteLength;
    return JSON.parse(text.toString()) as Record<string, unknown>;
  }
  return {
    client,
    told,
    protocol: client.socket.protocol,
    counts,
    send(message) {
      assert.ok(pair);
      client.send(pair.pack(Buffer.from(JSON.stringify(message))));
    },
    sendRaw: (bytes) => client.send(bytes),
    next,
    async until(type) {
      const all: Record<string, unknown>[] = [];
      do all.push(await next());
      while (all[all.length - 1]['type'] !== type);
      return all;
    },
  };
}
