/** Which compressions this Node has. */
import * as zlib from 'node:zlib';

export interface CodecProbe {
  readonly gzip: boolean;
  readonly deflate: boolean;
  readonly brotli: boolean;
  /** Node 22.15, 23.8 and later. */
  readonly zstd: boolean;
}

export function probeCodecs(): CodecProbe {
  const has = (name: string) => typeof (zlib as Record<string, unknown>)[name] === 'function';
  return {
    gzip: has('createGzip'),
    deflate: has('createDeflateRaw'),
    brotli: has('createBrotliCompress'),
    zstd: has('createZstdCompress'),
  };
}
