/** What CompressionManager has done on other threads. Arguments and results are copied between them; errors travel in their wire form. */
import { chooseCoder } from '../codec/choice.ts';
import type { CodecName } from '../codec/codec.ts';
import { asMillraceError, type WireError } from '../errors.ts';

export type CompressionJob =
  | { readonly codec: CodecName; readonly level: number; readonly bytes: Uint8Array }
  | { readonly codec: CodecName; readonly outputBytesMax: number; readonly bytes: Uint8Array };

export type CompressionResult = { readonly bytes: Uint8Array } | { readonly error: WireError };

export function work(job: CompressionJob): CompressionResult {
  const { codec, bytes } = job;
  try {
    if ('level' in job) {
      return {
        bytes: chooseCoder(codec, bytes.byteLength, false).coder.compress(bytes, job.level),
      };
    }
    const { coder } = chooseCoder(codec, bytes.byteLength, false, 'decompress');
    return { bytes: coder.decompress(bytes, job.outputBytesMax) };
  } catch (thrown) {
    return { error: asMillraceError(thrown).toWire() };
  }
}
