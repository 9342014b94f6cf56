/**
 * What a client sent compressed, under a bound that holds whatever the bytes say about themselves: here, if it is little and becomes
 * little, otherwise in the jobs pool.
 */
import { isUtf8 } from 'node:buffer';
import { chooseCoder, codecOf } from '../codec/choice.ts';
import type { Dictionary } from '../codec/codec.ts';
import { loadDictionary } from '../codec/dictionaries.ts';
import type { EncodingName } from '../codec/negotiate.ts';
import { asMillraceError, MillraceError, type WireError } from '../errors.ts';
import type { ClientMessage } from '../protocol/dialect.ts';
import type { CodecParts } from './codec.ts';

/** Becoming so much takes less than a millisecond with every codec. */
const HERE_BYTES_MAX = 64 * 1024;
const HERE_INPUT_MAX = 16 * 1024;

/** Of one session. */
export interface Inflater {
  /** The text's bytes, of the caller. Throws (or rejects with) MILLRACE_COMPRESSED_INVALID, MILLRACE_INFLATED_TOO_LARGE, MILLRACE_TEXT_INVALID. */
  inflate(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

export function createInflater(
  { options, tally, job, inCodec }: CodecParts,
  encoding: EncodingName,
  hash: string | undefined,
): Inflater {
  const codec = codecOf(encoding);
  const bytesMax = options().server.messageBytesMax;
  const dictionary = hash === undefined ? undefined : loadDictionary(hash);
  const checked = (packed: number, text: Uint8Array) => {
    tally.packed(encoding, 'in', text.byteLength, packed);
    if (isUtf8(text)) return text;
    throw new MillraceError('MILLRACE_TEXT_INVALID', {});
  };
  async function elsewhere(bytes: Uint8Array): Promise<Uint8Array> {
    const made = (await job('inflate', { codec, bytes, bytesMax, hash })) as InflateAnswer;
    if ('error' in made) throw MillraceError.fromWire(made.error);
    return checked(bytes.byteLength, made.bytes);
  }
  function here(bytes: Uint8Array, known: Dictionary | undefined): Uint8Array | undefined {
    const most = Math.min(bytesMax, HERE_BYTES_MAX);
    const { coder, blocks } = chooseCoder(
      codec,
      bytes.byteLength,
      known !== undefined,
      'decompress',
    );
    if (blocks) inCodec(true);
    try {
      return coder.decompress(bytes, most, known);
    } catch (thrown) {
      const large =
        thrown instanceof MillraceError && thrown.code === 'MILLRACE_INFLATED_TOO_LARGE';
      if (large && most < bytesMax) return undefined;
      throw thrown;
    } finally {
      if (blocks) inCodec(false);
    }
  }
  return {
    inflate(bytes) {
      if (bytes.byteLength > HERE_INPUT_MAX) return elsewhere(bytes);
      const made = here(bytes, dictionary);
      return made ? checked(bytes.byteLength, made) : elsewhere(bytes);
    },
  };
}

/** Of the job: a typed error would lose its class on the way. */
export type InflateAnswer = { readonly bytes: Uint8Array } | { readonly error: WireError };

/** A client's message as the text that it is; or the error that it is answered with. */
export function inflateMessage(
  inflater: Inflater,
  message: ClientMessage,
): ClientMessage | MillraceError | Promise<ClientMessage | MillraceError> {
  const text = (bytes: Uint8Array): ClientMessage => ({ ...message, bytes, binary: false });
  try {
    const made = inflater.inflate(message.bytes);
    return made instanceof Promise ? made.then(text).catch(asMillraceError) : text(made);
  } catch (thrown) {
    return asMillraceError(thrown);
  }
}
