/** What runs on the jobs pool. Each export is one job; arguments and results are copied between threads. */
import { chooseCoder } from '../codec/choice.ts';
import type { CodecName, Dictionary } from '../codec/codec.ts';
import { loadDictionary } from '../codec/dictionaries.ts';
import { asMillraceError } from '../errors.ts';
import type { InflateAnswer } from './inflate.ts';

export type JobName = 'parse' | 'compress' | 'inflate';

export interface CompressJob {
  readonly codec: CodecName;
  readonly level: number;
  /** Of the dictionary. */
  readonly hash: string | undefined;
  readonly bytes: Uint8Array;
}

export interface InflateJob {
  readonly codec: CodecName;
  readonly hash: string | undefined;
  readonly bytes: Uint8Array;
  readonly bytesMax: number;
}

/** A very large client message, as JSON. Throws a SyntaxError like JSON.parse. */
export function parse(bytes: Uint8Array): unknown {
  const { buffer, byteOffset, byteLength } = bytes;
  return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString());
}

export function compress({ codec, level, hash, bytes }: CompressJob): Uint8Array {
  const dictionary = of(hash);
  return chooseCoder(codec, bytes.byteLength, dictionary !== undefined).coder.compress(
    bytes,
    level,
    dictionary,
  );
}

export function inflate({ codec, hash, bytes, bytesMax }: InflateJob): InflateAnswer {
  const dictionary = of(hash);
  try {
    const has = dictionary !== undefined;
    const { coder } = chooseCoder(codec, bytes.byteLength, has, 'decompress');
    return { bytes: coder.decompress(bytes, bytesMax, dictionary) };
  } catch (thrown) {
    return { error: asMillraceError(thrown).toWire() };
  }
}

const of = (hash: string | undefined): Dictionary | undefined =>
  hash === undefined ? undefined : loadDictionary(hash);
