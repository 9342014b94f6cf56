/** Written by scripts/codec-table.mjs from `npm run bench -- codecs` at 5e63946 and changes, Node v20.20.2, 2 x AMD EPYC, 24 GiB, Linux 6.18.44-fc-v669, Debian GNU/Linux 12 (bookworm). */
import type { CodecName, SourceName } from './codec.ts';

/** Microseconds of CPU for one message of so many bytes at the normal level: to compress it, to decompress it. */
export type Row = { readonly bytes: number } & {
  readonly [S in SourceName]?: readonly [compress: number, decompress: number];
};

export const measured: Readonly<Record<CodecName, readonly Row[]>> = {
  gzip: [
    { bytes: 64, native: [11, 0.782], 'node-zlib': [37.7, 10.5] },
    { bytes: 300, native: [9.47, 2.79], 'node-zlib': [51.6, 7.03] },
    { bytes: 1024, native: [15.4, 4.82], 'node-zlib': [31.7, 10.6] },
    { bytes: 10240, native: [107, 17.5], 'node-zlib': [174, 36.3] },
    { bytes: 102400, native: [1290, 96.5], 'node-zlib': [2450, 3200] },
    { bytes: 1048576, native: [13000, 833], 'node-zlib': [23700, 2240] },
  ],
  deflate: [
    { bytes: 64, native: [12.5, 0.492], 'node-zlib': [31.5, 30.1] },
    { bytes: 300, native: [9.15, 2.9], 'node-zlib': [28.7, 23.7] },
    { bytes: 1024, native: [16, 4.15], 'node-zlib': [59, 10] },
    { bytes: 10240, native: [115, 18.2], 'node-zlib': [181, 34.4] },
    { bytes: 102400, native: [1290, 98.5], 'node-zlib': [2400, 232] },
    { bytes: 1048576, native: [12700, 850], 'node-zlib': [23400, 2280] },
  ],
  brotli: [
    { bytes: 64, native: [35.2, 2.61], 'node-zlib': [39.6, 11.1] },
    { bytes: 300, native: [39.9, 3.7], 'node-zlib': [30.6, 14.1] },
    { bytes: 1024, native: [83, 11.3], 'node-zlib': [124, 19.2] },
    { bytes: 10240, native: [219, 40.6], 'node-zlib': [218, 40.3] },
    { bytes: 102400, native: [1810, 250], 'node-zlib': [1700, 294] },
    { bytes: 1048576, native: [25400, 2080], 'node-zlib': [25600, 2680] },
  ],
  zstd: [
    { bytes: 64, native: [2.91, 0.438], 'zstd-napi': [3.02, 0.525], 'node-zstd': [27.7, 21.3] },
    { bytes: 300, native: [5.3, 2.98], 'zstd-napi': [6.09, 6.21], 'node-zstd': [25.1, 12.7] },
    { bytes: 1024, native: [8.92, 3.52], 'zstd-napi': [8.63, 3.97], 'node-zstd': [28.9, 13.5] },
    { bytes: 10240, native: [56.3, 13.8], 'zstd-napi': [49.2, 13.2], 'node-zstd': [75.9, 26] },
    { bytes: 102400, native: [441, 91.5], 'zstd-napi': [465, 112], 'node-zstd': [455, 145] },
    { bytes: 1048576, native: [4640, 806], 'zstd-napi': [5540, 1010], 'node-zstd': [6050, 1680] },
  ],
};

/** With a dictionary. */
export const measuredTokens: readonly Row[] = [
  { bytes: 150, native: [1.49, 1.01], 'zstd-napi': [1.24, 0.738], 'node-zstd': [15.7, 15.4] },
];
