/**
 * The options as rows: what --help, the environment, docs/OPTIONS.md and the messages of resolve.ts say about each one.
 * Everything here follows from the schema; nothing is written twice.
 */
import { z } from 'zod';
import { must } from '../must.ts';
import { type Effect, effectOf } from './live.ts';
import { schema } from './schema.ts';

export type OptionKind =
  | 'integer'
  | 'number'
  | 'boolean'
  | 'text'
  | 'choice'
  | 'list'
  | 'objects'
  | 'names';

/** One option. Inside a list of objects the path has `[]`: `upstreams[].url`; below a name of the user's `*`: `dialects.*.path`. */
export interface OptionRow {
  readonly path: string;
  readonly kind: OptionKind;
  /** What a value must be, to be read after "must be". */
  readonly expected: string;
  /** What an entry of a list must be. */
  readonly itemExpected?: string;
  /** Absent: the option has no default. */
  readonly fallback?: unknown;
  readonly required: boolean;
  readonly sentence: string;
  /** When a change takes effect in a running engine. */
  readonly effect: Effect;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly choices: readonly string[];
  /** Its value never appears in a message. */
  readonly secret: boolean;
  /** Absent inside lists of objects. */
  readonly env?: string;
  /** Absent for secrets (a command line is public) and lists of objects. */
  readonly flag?: string;
}

/** The parts of a JSON Schema node that our schema uses. */
interface Node {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly additionalProperties?: Node | false;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxItems?: number;
  readonly format?: string;
  readonly pattern?: string;
}

const secretKeys: ReadonlySet<string> = new Set([
  'keys',
  'key',
  'apiKey',
  'apiKeys',
  'token',
  'passphrase',
]);

/** Short flags for what is said most often; every other option has the long form of its path. */
const shortFlags: Readonly<Record<string, string>> = {
  'server.host': '--host',
  'server.port': '--port',
  'server.backend': '--backend',
  'server.page': '--page',
  'threads.workers': '--workers',
  'demo.enabled': '--demo',
};

/** Whether the last name of a path names something that must not be shown: `keys`, `keys[0]`, `keys[0].key`, and not `keys[0].name`. */
export function isSecret(path: readonly PropertyKey[]): boolean {
  const last = path.findLast((key) => typeof key !== 'number');
  return secretKeys.has(String(last));
}

let rows: readonly OptionRow[] | undefined;

/** Every option in the order of the schema. */
export function explain(): readonly OptionRow[] {
  rows ??= rowsOf(z.toJSONSchema(schema, { io: 'input' }) as Node, []);
  return rows;
}

/** Groups that are absent until somebody writes one, by path: naming one without content turns something on. */
export function optionalGroups(): ReadonlySet<string> {
  const found = new Set<string>();
  const walk = (node: Node, path: readonly string[]) => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      if (!child.properties) continue;
      const below = [...path, key];
      if (!('default' in child) && !node.required?.includes(key)) found.add(below.join('.'));
      walk(child, below);
    }
  };
  walk(z.toJSONSchema(schema, { io: 'input' }) as Node, []);
  return found;
}

function rowsOf(node: Node, path: readonly string[]): OptionRow[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const below = [...path, key];
    if (child.properties) return rowsOf(child, below);
    const own = row(child, below, node.required?.includes(key) ?? false);
    const group = groupOf(child.items);
    if (group) return [own, ...rowsOf(group, [...path, `${key}[]`])];
    const each = child.additionalProperties;
    return each ? [own, ...rowsOf(each, [...below, '*'])] : [own];
  });
}

/** The group that an entry of a list is, or may be beside a text. */
function groupOf(items: Node | undefined): Node | undefined {
  return items?.properties ? items : items?.anyOf?.find((each) => each.properties);
}

function row(node: Node, path: readonly string[], required: boolean): OptionRow {
  const dotted = path.join('.');
  const kind = kindOf(node);
  const secret = isSecret(path);
  const listed = /\[\]|\*/.test(dotted);
  const effect = effectOf(dotted);
  must(effect, `say in options/live.ts when a change of ${dotted} takes effect`);
  return {
    path: dotted,
    kind,
    expected: expectedOf(node, kind),
    ...itemsOf(node),
    ...('default' in node ? { fallback: node.default } : {}),
    required,
    sentence: node.description ?? '',
    effect,
    ...(node.minimum === undefined ? {} : { minimum: node.minimum }),
    ...(node.maximum === undefined ? {} : { maximum: node.maximum }),
    choices: node.enum ?? [],
    secret,
    ...(listed ? {} : { env: envName(path) }),
    ...(listed || secret || kind === 'objects' || kind === 'names'
      ? {}
      : { flag: flagName(dotted) }),
  };
}

function itemsOf(node: Node): { itemExpected?: string } {
  const item = node.items ?? (node.additionalProperties || undefined);
  return item && !item.properties ? { itemExpected: expectedText(item) } : {};
}

function kindOf(node: Node): OptionKind {
  if (node.enum) return 'choice';
  if (node.type === 'array') return node.items?.properties ? 'objects' : 'list';
  if (node.type === 'string') return 'text';
  if (node.type === 'object') return 'names';
  return node.type as 'integer' | 'number' | 'boolean';
}

function expectedOf(node: Node, kind: OptionKind): string {
  if (kind === 'choice') return `one of ${(node.enum ?? []).join(', ')}`;
  if (kind === 'boolean') return 'true or false';
  if (kind === 'list') return node.items?.anyOf ? 'a list of texts or groups' : 'a list of texts';
  if (kind === 'objects') return `a list of at most ${node.maxItems} entries`;
  if (kind === 'names') return 'a group of names';
  if (kind === 'text') return expectedText(node);
  const what = kind === 'integer' ? 'an integer' : 'a number';
  return `${what} from ${node.minimum} to ${node.maximum}`;
}

function expectedText(node: Node): string {
  if (node.anyOf) return node.anyOf.map(expectedText).join(', or ');
  if (node.properties) return 'a group of options';
  if (node.format === 'date-time') return 'a time such as 2030-01-31T00:00:00Z';
  if (node.format === 'uri')
    return 'a URL that begins with http:// or https:// (ws:// or wss:// for a WebSocket back end)';
  if (node.format === 'starts_with') return 'a text that begins with /';
  if (node.pattern) return expectedPattern(node.pattern);
  if ((node.minLength ?? 0) > 1) return `a text of at least ${node.minLength} characters`;
  return node.minLength ? 'a text that is not empty' : 'a text';
}

/** A pattern that is only a count of allowed characters, in words. */
function expectedPattern(pattern: string): string {
  const [, allowed, least, most] = /^\^\[([^\]\\]+)\]\{(\d+),(\d+)\}\$$/.exec(pattern) ?? [];
  if (allowed === undefined) return `a text that matches ${pattern}`;
  const ranges = allowed.match(/.-.|./g) ?? [];
  return `${least} to ${most} characters of ${ranges.join(' ')}`;
}

const kebab = (text: string) => text.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase();

function envName(path: readonly string[]): string {
  return `MILLRACE_${path.map((key) => kebab(key).replaceAll('-', '_').toUpperCase()).join('_')}`;
}

function flagName(dotted: string): string {
  return shortFlags[dotted] ?? `--${kebab(dotted.replaceAll('.', '-'))}`;
}

/** Whether `--help` shows the flag; the rest stands in `millrace options`. */
export function isCommon(row: OptionRow): boolean {
  return row.path in shortFlags || ['admin.port', 'admin.host', 'log.level'].includes(row.path);
}
