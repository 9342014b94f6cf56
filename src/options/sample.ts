/**
 * A configuration to begin with: every option with its sentence, commented out. Made from the schema, so that it says what the
 * program does.
 */
import { explain, isCommon, type OptionRow, optionalGroups } from './explain.ts';

export type SampleFormat = 'yaml' | 'toml' | 'json';

export interface SampleWish {
  readonly format: SampleFormat;
  /** Where an editor finds the JSON Schema, from the file. */
  readonly schema: string;
}

/** A group of options, or an option; an entry of a list or a name of the user's is the group `[]` or `*`. */
interface Branch {
  readonly key: string;
  readonly row?: OptionRow;
  /** A group that is absent until it is written: it stands commented out as a whole. */
  readonly optional: boolean;
  readonly below: Branch[];
}

export function sampleConfig({ format, schema }: SampleWish): string {
  const root = branches();
  if (format === 'json') return `${JSON.stringify(plain(schema), null, 2)}\n`;
  const head = [
    format === 'yaml' ? `# yaml-language-server: $schema=${schema}` : `#:schema ${schema}`,
    '#',
    '# A configuration of millrace. Every option stands here, commented out, with what it is when nothing is said: its default,',
    '# or an example where it has none. Flags and the environment win over this file.',
    '# A secret is best kept elsewhere: ${NAME} is an environment variable, ${file:PATH} the text of a file.',
  ];
  const body = format === 'yaml' ? yaml(root, '') : toml(root, []);
  return `${[...head, ...body].join('\n')}\n`;
}

function branches(): Branch[] {
  const root: Branch[] = [];
  const optional = optionalGroups();
  for (const row of explain()) {
    let level = root;
    const keys = row.path.replaceAll('[]', '.[]').split('.');
    for (const [index, key] of keys.entries()) {
      let branch = level.find((each) => each.key === key);
      if (branch === undefined) {
        const path = keys.slice(0, index + 1).join('.');
        const own = index === keys.length - 1 ? { row } : {};
        branch = { key, ...own, optional: optional.has(path), below: [] };
        level.push(branch);
      }
      level = branch.below;
    }
  }
  return root;
}

function yaml(level: readonly Branch[], indent: string): string[] {
  return level.flatMap((branch) => {
    const { key, row, below } = branch;
    if (row === undefined && branch.optional) {
      const lines = [`${key}:`, ...yaml(below, '  ')].filter((line) => line !== '');
      return ['', ...lines.map((line) => `${indent}# ${line}`)];
    }
    if (row === undefined) return ['', `${indent}${key}:`, ...yaml(below, `${indent}  `)];
    const entry = below.find((each) => each.key === '[]' || each.key === '*');
    const said = [...wrapped(row, `${indent}# `)];
    // A list of groups shows one; what may also be a list of texts shows both.
    if (row.kind === 'list' || !entry) said.push(`${indent}# ${key}: ${shown(row)}`);
    if (row.kind === 'list' && entry) said.push(`${indent}# or, each as a group:`);
    if (entry) said.push(...yamlEntry(key, entry).map((line) => `${indent}# ${line}`));
    return [...(indent === '' || entry ? [''] : []), ...said];
  });
}

function yamlEntry(key: string, entry: Branch): string[] {
  const lines = entry.below.flatMap(({ key: name, row }) =>
    row ? [...wrapped(row, '# '), `${name}: ${shown(row)}`] : [],
  );
  if (entry.key === '*') return [`${key}:`, '  my-name:', ...lines.map((line) => `    ${line}`)];
  return [`${key}:`, ...lines.map((line, at) => `${at === 0 ? '  - ' : '    '}${line}`)];
}

/** Keys of a table come before the tables in it. */
function toml(level: readonly Branch[], path: readonly string[]): string[] {
  const tables = level.filter(({ row, below }) => row === undefined || below.length > 0);
  const values = level.filter(
    ({ row, below }) => row && (below.length === 0 || row.kind === 'list'),
  );
  const lines = values.flatMap(({ key, row }) =>
    row
      ? [...(path.length === 0 ? [''] : []), ...wrapped(row, '# '), `# ${key} = ${shown(row)}`]
      : [],
  );
  return [...lines, ...tables.flatMap((branch) => tomlTable(branch, path))];
}

function tomlTable({ key, row, below, optional }: Branch, path: readonly string[]): string[] {
  const name = [...path, key].join('.');
  if (row === undefined) {
    const lines = ['', `[${name}]`, ...toml(below, [...path, key])];
    return optional ? lines.map((line) => (line === '' ? line : `# ${line}`)) : lines;
  }
  const [entry] = below;
  const head = entry.key === '*' ? `[${name}.my-name]` : `[[${name}]]`;
  const lines = entry.below.flatMap(({ key: each, row: own }) =>
    own ? [...wrapped(own, '# # '), `# ${each} = ${shown(own)}`] : [],
  );
  const about = row.kind === 'list' ? ['# or, each as a group:'] : wrapped(row, '# ');
  return ['', ...about, `# ${head}`, ...lines];
}

/** JSON has no comments: what is said most often, with its defaults. */
function plain(schema: string): object {
  const tree: Record<string, Record<string, unknown>> = {};
  for (const row of explain()) {
    const [group, key] = row.path.split('.');
    if (!isCommon(row) || row.fallback === undefined || key === undefined) continue;
    (tree[group] ??= {})[key] = row.fallback;
  }
  return { $schema: schema, ...tree, keys: [], upstreams: [] };
}

/** JSON's texts, numbers and lists of them are YAML and TOML too. */
function shown(row: OptionRow): string {
  const example = row.fallback === undefined && !row.required && !row.secret;
  return `${JSON.stringify(valueOf(row))}${example ? '  # an example: it has no default' : ''}`;
}

/** The default; without one, something that the option takes. */
function valueOf(row: OptionRow): unknown {
  if (row.secret) return row.kind === 'list' ? ['${CLIENT_KEY}'] : secretName(row.path);
  if (row.fallback !== undefined) return row.fallback;
  switch (row.kind) {
    case 'integer':
    case 'number':
      return row.minimum;
    case 'boolean':
      return false;
    case 'choice':
      return row.choices[0];
    case 'list':
    case 'objects':
      return [];
    case 'names':
      return {};
    case 'text':
      return exampleText(row);
  }
  return {};
}

function secretName(path: string): string {
  const words = path.replaceAll('[]', '').split('.').slice(-2).join('_');
  return `\${${words.replaceAll(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()}}`;
}

function exampleText({ expected }: OptionRow): string {
  if (expected.includes('http')) return 'https://llm.example/v1';
  if (expected.includes('a time such as')) return '2030-01-31T00:00:00Z';
  return expected.includes('begins with /') ? '/path' : 'a-name';
}

const WIDTH = 100;

/** The sentence and what a value must be, over as many comment lines as it takes. */
function wrapped(row: OptionRow, prefix: string): string[] {
  const lines: string[] = [];
  let line = prefix.trimEnd();
  for (const word of `${row.sentence} (${row.expected})`.split(' ')) {
    if (line.length + word.length >= WIDTH && line !== prefix.trimEnd()) {
      lines.push(line);
      line = prefix.trimEnd();
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
