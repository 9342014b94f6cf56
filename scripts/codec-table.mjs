// @ts-check
/** Writes src/codec/measured.ts from the last `npm run bench -- codecs`: medians of µs per message, by codec, size and source. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const kept = JSON.parse(readFileSync(`${root}/bench/results/codecs.json`, 'utf8'));

/** @param {readonly number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
/** @param {string} size */
const bytesOf = (size) => Number.parseInt(size, 10) * (size.endsWith('KiB') ? 1024 : 1);

/** @type {Map<string, Map<number, Map<string, [number, number]>>>} */
const table = new Map();
for (const { what, values } of kept.readings) {
  const sized = /^(\w+) \d+ of (\d+ (?:B|KiB)), ([\w-]+): (compress|decompress)$/.exec(what);
  const token = /^zstd of a token, dictionary, ([\w-]+): (compress|decompress)$/.exec(what);
  const found = sized ? sized.slice(1) : token ? ['token', '150 B', token[1], token[2]] : undefined;
  if (!found) continue;
  const [codec, size, source, direction] = found;
  const sizes = table.get(codec) ?? new Map();
  table.set(codec, sizes);
  const sources = sizes.get(bytesOf(size)) ?? new Map();
  sizes.set(bytesOf(size), sources);
  const pair = sources.get(source) ?? [0, 0];
  pair[direction === 'compress' ? 0 : 1] = Number(median(values).toPrecision(3));
  sources.set(source, pair);
}

/** @param {string} codec @param {string} indent */
function rows(codec, indent) {
  const sizes = [...(table.get(codec) ?? new Map())].toSorted(([a], [b]) => a - b);
  return sizes
    .map(([bytes, sources]) => {
      const cells = [...sources].map(([source, [to, back]]) => `'${source}': [${to}, ${back}]`);
      return `${indent}{ bytes: ${bytes}, ${cells.join(', ')} },\n`;
    })
    .join('');
}

const text = `/** Written by scripts/codec-table.mjs from \`${kept.command}\` at ${kept.commit}, Node ${kept.node}, ${kept.machine}. */
import type { CodecName, SourceName } from './codec.ts';

/** Microseconds of CPU for one message of so many bytes at the normal level: to compress it, to decompress it. */
export type Row = { readonly bytes: number } & {
  readonly [S in SourceName]?: readonly [compress: number, decompress: number];
};

export const measured: Readonly<Record<CodecName, readonly Row[]>> = {
${['gzip', 'deflate', 'brotli', 'zstd'].map((codec) => `  ${codec}: [\n${rows(codec, '    ')}  ],\n`).join('')}};

/** With a dictionary. */
export const measuredTokens: readonly Row[] = [
${rows('token', '  ')}];
`;
writeFileSync(`${root}/src/codec/measured.ts`, text);

const file = `${root}/src/codec/measured.ts`;
spawnSync(`${root}/node_modules/.bin/biome`, ['format', '--write', file], { stdio: 'inherit' });
