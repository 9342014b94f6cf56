/** Written by scripts/codec-table.mjs from `npm run bench -- codecs` at 2f46e77, Node v20.20.2, 2 x AMD EPYC, 24 GiB, Linux 6.18.44-fc-v669, Debian GNU/Linux 12 (bookworm). */
import type { CodecName, SourceName } from './codec.ts';

/** Microseconds of CPU for one message of so many bytes at the normal level: to compress it, to decompress it. */
export type Row = { readonly bytes: number } & {
  readonly [S in SourceName]?: readonly [compress: number, decompress: number];
};

export const measured: Readonly<Record<CodecName, readonly Row[]>> = {
  gzip: [
    { bytes: 64, native: [8.09, 0.593], 'node-zlib': [17.2, 7.42] },
    { bytes: 300, native: [12.4, 3.1], 'node-zlib': [63.2, 33.7] },
    { bytes: 1024, native: [16.2, 4.35], 'node-zlib': [43.7, 14.2] },
    { bytes: 10240, native: [113, 16], 'node-zlib': [183, 29] },
    { bytes: 102400, native: [1310, 111], 'node-zlib': [2270, 242] },
    { bytes: 1048576, native: [13700, 943], 'node-zlib': [26500, 3260] },
  ],
  deflate: [
    { bytes: 64, native: [7.74, 0.467], 'node-zlib': [16.8, 6.54] },
    { bytes: 300, native: [10.2, 3.23], 'node-zlib': [47.9, 29.2] },
    { bytes: 1024, native: [16.5, 4.27], 'node-zlib': [35.6, 12.8] },
    { bytes: 10240, native: [121, 17.6], 'node-zlib': [214, 31.1] },
    { bytes: 102400, native: [1190, 87], 'node-zlib': [2160, 218] },
    { bytes: 1048576, native: [12300, 819], 'node-zlib': [22600, 2010] },
  ],
  brotli: [
    { bytes: 64, native: [31.2, 3.46], 'node-zlib': [42.8, 26.5] },
    { bytes: 300, native: [39.2, 4.29], 'node-zlib': [54, 17.9] },
    { bytes: 1024, native: [84.8, 10.4], 'node-zlib': [85.7, 17.9] },
    { bytes: 10240, native: [234, 33.2], 'node-zlib': [284, 38.8] },
    { bytes: 102400, native: [2250, 273], 'node-zlib': [1920, 329] },
    { bytes: 1048576, native: [15200, 1740], 'node-zlib': [11600, 2010] },
  ],
  zstd: [
    { bytes: 64, native: [3.09, 0.348], 'zstd-napi': [3.52, 0.468], 'node-zstd': [38, 15] },
    { bytes: 300, native: [5.91, 2.65], 'zstd-napi': [5.74, 2.55], 'node-zstd': [30.2, 14.6] },
    { bytes: 1024, native: [8.38, 3.03], 'zstd-napi': [8.97, 3.04], 'node-zstd': [29.5, 14.3] },
    { bytes: 10240, native: [47.2, 12.9], 'zstd-napi': [46.1, 12.2], 'node-zstd': [72.4, 25.4] },
    { bytes: 102400, native: [554, 128], 'zstd-napi': [545, 129], 'node-zstd': [573, 206] },
    { bytes: 1048576, native: [4070, 780], 'zstd-napi': [4190, 784], 'node-zstd': [4710, 1680] },
  ],
};

/** With a dictionary. */
export const measuredTokens: readonly Row[] = [
  { bytes: 150, native: [0.946, 0.454], 'zstd-napi': [1.04, 0.606], 'node-zstd': [12.8, 12.2] },
];
