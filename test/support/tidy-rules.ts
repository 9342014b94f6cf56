/**
 * The rules of the tree that no compiler or linter knows, as one pure function: what a file may import, which words belong
 * to which folder, how files are named and how long they get. Each complaint is the sentence a newcomer needs.
 */
import { posix } from 'node:path';
import { type CodeText, readCode } from './code-text.ts';

/** What each layer of src/ may import besides itself. A layer is a folder, or a file directly in src/. */
const bottom = ['errors', 'must', 'stages'];
const core = [...bottom, 'options', 'protocol', 'policy', 'codec', 'memory'];
const thread = [...core, 'observe', 'threads'];
const layers: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  must: [],
  stages: [],
  options: bottom,
  protocol: bottom,
  policy: bottom,
  codec: bottom,
  memory: bottom,
  observe: core.concat('threads'),
  threads: core.concat('observe'),
  main: thread,
  coordinator: thread,
  worker: thread,
  simulate: [...bottom, 'protocol', 'options', 'policy', 'threads'],
  parts: [...bottom, 'policy', 'memory', 'codec', 'protocol', 'observe', 'threads'],
  client: [],
  engine: [...thread, 'main'],
  testing: [...thread, 'engine', 'main', 'simulate'],
  index: ['engine', 'options', 'errors', 'parts', 'simulate'],
  cli: ['engine', 'options', 'errors', 'observe', 'parts', 'simulate'],
};
/** Imported for their types only. */
const typesOnly: Readonly<Record<string, readonly string[]>> = {
  policy: ['options'],
  codec: ['options'],
  protocol: ['options', 'policy'],
};

/** Foreign code has one door each: the only places in src/ that may load it. A path ending in / is a folder. */
const doors: Readonly<Record<string, readonly string[]>> = {
  undici: ['worker/connect/'],
  'node:net': ['worker/connect/', 'main/backend/', 'options/groups/server'],
  'node:tls': ['worker/connect/', 'main/backend/'],
  ws: ['main/backend/ws', 'worker/connect/websocket', 'simulate/sockets/'],
  'uWebSockets.js': ['main/backend/uws'],
  'prom-client': ['observe/prometheus'],
  pino: ['observe/log'],
  zod: ['options/'],
  yaml: ['options/'],
  'smol-toml': ['options/'],
  commander: ['cli/'],
  piscina: ['threads/'],
  'node:worker_threads': ['threads/'],
  'node:zlib': ['codec/', 'worker/connect/'],
  'zstd-napi/binding.js': ['codec/'],
  '@toondepauw/node-zstd': ['codec/'],
  'node:http': ['main/backend/', 'main/admin', 'coordinator/probe', 'simulate/'],
  'node:https': ['main/backend/', 'coordinator/probe'],
};
/** Parts of Node that may be used anywhere but in the pure folders. */
const free = [
  'buffer',
  'crypto',
  'dns/promises',
  'events',
  'fs',
  'fs/promises',
  'module',
  'os',
  'path',
].concat(['perf_hooks', 'stream', 'string_decoder', 'url', 'util', 'diagnostics_channel']);
const pure = ['protocol', 'policy', 'memory'];
const pureMay = ['node:buffer'];

/** Words that belong to one place. */
const words: readonly { pattern: RegExp; only: RegExp; why: string }[] = [
  {
    pattern: /\b(Atomics|SharedArrayBuffer)\b/,
    only: /^src\/memory\//,
    why: 'shared memory is touched in src/memory/ only: add what you need to its contract',
  },
  {
    pattern: /\.postMessage\(/,
    only: /^src\/threads\//,
    why: 'threads talk through src/threads/port.ts: use a Channel',
  },
  {
    pattern: /\b(Date\.now|new Date\(\)|performance\.now|Math\.random|process)\b/,
    only: /^src\/(?!protocol\/|policy\/)/,
    why: 'protocol/ and policy/ are pure: take time, chance and the environment as arguments (policy/ports.ts)',
  },
  {
    pattern: /\b(setTimeout|setInterval|setImmediate|queueMicrotask)\b/,
    only: /^src\/(?!protocol\/|policy\/)/,
    why: 'protocol/ and policy/ are pure: take a Ticker or Wheel as argument (policy/ports.ts)',
  },
  {
    pattern: /^export default\b/m,
    only: /^src\/\w+\/(entry|jobs)\.ts$/,
    why: 'name what you export; only the entries of threads have a default',
  },
];

const FILE_LINES_MAX = 400;
/** Tables, not code. */
const longFiles: ReadonlySet<string> = new Set(['src/errors.ts']);

/** Everything wrong with one file. `path` is relative to the repository, with slashes. */
export function judge(path: string, text: string): string[] {
  const wrong = [...judgeName(path), ...judgeWords(path, text)];
  if (!/\.(ts|mjs)$/.test(path)) return wrong;
  const read = readCode(text);
  wrong.push(...judgeComments(path, read));
  if (path.startsWith('src/')) wrong.push(...judgeSource(path, text, read));
  if (path.startsWith('test/')) wrong.push(...judgeTest(path, text, read));
  return wrong;
}

function judgeName(path: string): string[] {
  const name = posix.basename(path);
  if (!/\.(ts|mjs)$/.test(name)) return [];
  const stem = name.replace(/(\.test)?(\.d)?\.(ts|mjs)$/, '');
  const wrong: string[] = [];
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem)) {
    wrong.push(`${path}: file names are kebab-case, after the one thing they export`);
  }
  if (/^(utils?|helpers?|common|managers?|base|misc)$/.test(stem)) {
    wrong.push(`${path}: a name like ${stem} gathers strangers; name the file after what it does`);
  }
  if (stem === 'index' && path !== 'src/index.ts') {
    wrong.push(`${path}: no barrels but src/index.ts; import the file that has the thing`);
  }
  return wrong;
}

/** What has no place in the repository at all, in any kind of file. */
const strangers: readonly { pattern: RegExp; why: string }[] = [
  { pattern: /(?<![\w.])\/(work|home|root|Users)\/[\w.-]+/, why: 'a path of one machine' },
  { pattern: /registry\.npmjs|registry\.yarnpkg|npm\.pkg\.github/, why: 'the host of a registry' },
  {
    pattern: /\b(issue|PR|pull request|ticket) #\d+/i,
    why: 'a number that only its tracker knows',
  },
  { pattern: /\b(worktree|sub-?agents?|helper agents?|co-authored-by)\b/i, why: 'how it was made' },
];

function judgeWords(path: string, text: string): string[] {
  if (path === 'test/support/tidy-rules.ts' || path === 'test/tidy.test.ts') return [];
  return strangers.flatMap(({ pattern, why }) => {
    const found = pattern.exec(text)?.[0];
    return found === undefined
      ? []
      : [`${path}: "${found}" is ${why}; say what the reader here can use`];
  });
}

function judgeComments(path: string, { comments }: CodeText): string[] {
  const found = comments.map((comment) => /\b(TODO|FIXME|XXX|HACK)\b/.exec(comment)?.[1]);
  return found
    .filter((word) => word !== undefined)
    .map((word) => `${path}: ${word} is a promise nobody keeps; do it, or leave it out`);
}

function judgeSource(path: string, text: string, read: CodeText): string[] {
  const wrong: string[] = [];
  const lines = text.split('\n').length - 1;
  if (lines > FILE_LINES_MAX && !longFiles.has(path)) {
    wrong.push(`${path}: ${lines} lines; a file stops at ${FILE_LINES_MAX}: move one thing out`);
  }
  for (const { pattern, only, why } of words) {
    const found = only.test(path) ? undefined : pattern.exec(read.code)?.[0].trim();
    if (found !== undefined) wrong.push(`${path}: ${found}: ${why}`);
  }
  if (path.startsWith('src/memory/') && !saysWhoWrites(text, read)) {
    wrong.push(
      `${path}: a file of memory/ opens by saying who writes, who reads, what orders them`,
    );
  }
  for (const each of read.imports) wrong.push(...judgeImport(path, each.from, each.typeOnly));
  return wrong;
}

function saysWhoWrites(text: string, { comments }: CodeText): boolean {
  return /^\/\*\*/.test(text) && /\b(writ\w+|wrote)\b/i.test(comments.join('\n'));
}

function layerOf(path: string): string {
  const [, first] = path.split('/');
  return first.replace(/\.ts$/, '');
}

function judgeImport(path: string, from: string, typeOnly: boolean): string[] {
  const layer = layerOf(path);
  if (!from.startsWith('.')) return typeOnly ? [] : judgeForeign(path, layer, from);
  const target = posix.normalize(posix.join(posix.dirname(path), from));
  if (!from.endsWith('.ts')) return [`${path}: import ${from} with its ending .ts`];
  if (!target.startsWith('src/')) return [`${path}: src/ imports nothing from outside (${from})`];
  const other = layerOf(target);
  const wrong: string[] = [];
  if (target === 'src/options/schema.ts' && !typeOnly && !mayLoadSchema.includes(layer)) {
    wrong.push(
      `${path}: options/schema.ts loads zod on every thread that imports it; import its types, or names from options/names.ts`,
    );
  }
  if (layer === 'main' && other === 'codec' && !typeOnly && !mainMayOfCodec.has(target)) {
    return [
      ...wrong,
      `${path}: main never compresses: of codec/ it loads ${[...mainMayOfCodec].join(', ')} only (${rulesFile})`,
    ];
  }
  if (other === layer) return wrong;
  const known = layers[layer];
  if (known === undefined) {
    return [`${path}: src/${layer} is no known layer; add it to the table in ${rulesFile}`];
  }
  if (known.includes(other) || (typeOnly && typesOnly[layer]?.includes(other))) return wrong;
  const may = known.length === 0 ? 'nothing' : known.join(', ');
  return [
    ...wrong,
    `${path}: ${layer} may not import ${other}; it may import ${may} (${rulesFile})`,
  ];
}

/** Words, tables and bytes; and what a WebSocket server does on its own thread when it is asked to. */
const mainMayOfCodec: ReadonlySet<string> = new Set([
  'src/codec/negotiate.ts',
  'src/codec/dictionary-table.ts',
  'src/codec/dictionaries.ts',
  'src/codec/permessage-deflate.ts',
]);
const rulesFile = 'test/support/tidy-rules.ts';
const mayLoadSchema = ['options', 'cli', 'engine', 'index'];

function judgeForeign(path: string, layer: string, from: string): string[] {
  if (pure.includes(layer) && !pureMay.includes(from)) {
    return [
      `${path}: ${layer}/ is pure and loads nothing (${from}); take what you need as argument`,
    ];
  }
  const door = doors[from];
  if (door === undefined) {
    if (from.startsWith('node:') && free.includes(from.slice('node:'.length))) return [];
    return [`${path}: ${from} has no door yet; decide on one place for it in ${rulesFile}`];
  }
  const inside = door.some((place) => path.startsWith(`src/${place}`));
  return inside ? [] : [`${path}: ${from} is loaded only in ${door.join(', ')}; ask there for it`];
}

const sleep = /=>\s*(?:void\s+)?setTimeout\(\s*\w+\s*,/;
const noSleep = 'a sleep is too short on a slow machine; wait with until() of test/support';

function judgeTest(path: string, text: string, { code, imports }: CodeText): string[] {
  const wrong: string[] = [];
  // What the tests wait with.
  const support = path.startsWith('test/support/');
  const narrowed = /\b(?:test|it|describe|suite|t)\.(skip|only|todo)\b/.exec(code)?.[0];
  if (narrowed !== undefined) {
    wrong.push(`${path}: ${narrowed} hides tests; every test runs, long counts behind SLOW=1`);
  }
  const sleeps = text.split('\n').some((line) => sleep.test(line) && !line.includes('// '));
  if (!support && sleeps) {
    wrong.push(`${path}: ${noSleep}; or say on its line what must not happen meanwhile`);
  }
  if (!support && imports.some(({ from }) => from === 'node:timers/promises')) {
    wrong.push(
      `${path}: a sleep is too short on a slow machine; wait with until() of test/support`,
    );
  }
  if (path.endsWith('.test.ts') && !imports.some(({ from }) => from === 'node:test')) {
    wrong.push(`${path}: tests use node:test`);
  }
  return wrong;
}
