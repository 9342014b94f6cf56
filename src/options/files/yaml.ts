/** YAML 1.2 with the offset of every key and value. */
import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import type { Path } from '../paths.ts';
import {
  isTooDeep,
  type Malformed,
  type Parsed,
  type Spot,
  spotAt,
  type Twice,
  tooDeep,
} from './parsed.ts';

/** Loaded by the first file in YAML: it costs a start without one a tenth of its time. */
let yaml: typeof Yaml;

/** More than a configuration needs; what expands further is meant to fill the memory. */
const ALIASES_MAX = 100;

export function parseYaml(text: string): Parsed | Malformed {
  yaml ??= createRequire(import.meta.url)('yaml') as typeof yaml;
  let document: Yaml.Document.Parsed;
  try {
    document = yaml.parseDocument(text, {
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'error',
    });
  } catch {
    // Its recursion has no bound of its own.
    return { offset: 0, text: tooDeep };
  }
  const [first] = [...document.errors, ...document.warnings];
  if (first) return malformed(document, first);
  const strange = unreadable(document);
  if (strange) return strange;
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch {
    return { offset: 0, text: `its aliases (*name) repeat more than ${ALIASES_MAX} values` };
  }
  if (isTooDeep(value)) return { offset: 0, text: tooDeep };
  const begin = document.contents?.range?.[0] ?? 0;
  const root = spotAt(begin, begin);
  const twice: Twice[] = [];
  collect(document.contents, root, [], twice);
  return { value: value ?? undefined, root, twice };
}

/** What the parser takes and a configuration has no use for. */
function unreadable(document: Yaml.Document.Parsed): Malformed | undefined {
  let found: Malformed | undefined;
  const stop = (node: { range?: readonly number[] | null }, text: string) => {
    found = { offset: node.range?.[0] ?? 0, text };
    return yaml.visit.BREAK;
  };
  const anchors = new Set<string>();
  yaml.visit(document, {
    Node(_, node) {
      if (!yaml.isAlias(node) && node.anchor !== undefined) anchors.add(node.anchor);
    },
    Alias(_, node) {
      if (anchors.has(node.source)) return undefined;
      return stop(
        node,
        'a value beginning with * is an alias, and no &anchor has its name; quote it if it is a text',
      );
    },
    Pair(_, { key }) {
      if (yaml.isCollection(key))
        return stop(
          key,
          'a key is a word, not a list or group; quote a text that begins with { or [, and fill in {{ }} of a template',
        );
      if (yaml.isScalar(key) && key.value === '<<') {
        return stop(
          key,
          'merging with << is not read here; write the options out, or use an alias for the whole value',
        );
      }
      return undefined;
    },
  });
  return found;
}

function collect(node: unknown, spot: Spot, path: Path, twice: Twice[]): void {
  if (yaml.isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      const at = offset(item) ?? spot.value;
      const below = spotAt(at, at);
      spot.below.set(index, below);
      collect(item, below, [...path, index], twice);
    }
  }
  if (!yaml.isMap(node)) return;
  for (const pair of node.items) {
    if (!yaml.isPair(pair)) continue;
    const key = offset(pair.key) ?? spot.value;
    const name = yaml.isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
    const below = spotAt(key, offset(pair.value) ?? key);
    const first = spot.below.get(name);
    if (first) twice.push({ path: [...path, name], offset: key, first: first.key });
    else spot.below.set(name, below);
    collect(pair.value, below, [...path, name], twice);
  }
}

const offset = (node: unknown): number | undefined =>
  (node as { range?: readonly number[] | null } | null)?.range?.[0];

/** The parser's codes in words for somebody who does not know YAML's grammar. */
const byCode: Readonly<Partial<Record<Yaml.YAMLError['code'], string>>> = {
  ALIAS_PROPS: 'an alias (*name) takes no anchor or tag',
  BAD_ALIAS: 'a value beginning with * is an alias, and this one has no name; write "*" for a text',
  BAD_DIRECTIVE: 'a line that begins with % is a directive of YAML; quote it if it is a text',
  BAD_DQ_ESCAPE:
    'a backslash in double quotes begins an escape that YAML does not know; use single quotes',
  BAD_PROP_ORDER: 'anchors and tags stand before the value',
  BLOCK_AS_IMPLICIT_KEY:
    'there is a second colon or a list on this line; begin the value on a line of its own, or quote it',
  BLOCK_IN_FLOW: 'inside [ ] and { } no line begins with "- " or "? "',
  KEY_OVER_1024_CHARS: 'a key has more than 1024 characters; is a quote not closed?',
  MULTILINE_IMPLICIT_KEY: 'a colon is missing on this line, or the line is indented wrongly',
  MULTIPLE_ANCHORS: 'a value has one anchor (&name) at most',
  MULTIPLE_DOCS: 'a second document begins here (--- or ...); a file holds one',
  MULTIPLE_TAGS: 'a value has one tag (!name) at most',
  TAB_AS_INDENT: 'a tab indents this line; YAML indents with spaces',
  TAG_RESOLVE_FAILED:
    'a value beginning with ! is a tag, and this one is not known; quote it if it is a text',
};

function malformed(document: Yaml.Document.Parsed, error: Yaml.YAMLError): Malformed {
  const [at] = error.pos;
  const { message } = error;
  // Where it was noticed depends on the size of the stack.
  if (error.code === 'RESOURCE_EXHAUSTION') return { offset: 0, text: tooDeep };
  // The parser says where it noticed; somebody who looks for a missing quote looks where it was opened.
  if (/Missing closing ['"]quote/.test(message)) {
    return {
      offset: opened(document, at, isQuoted),
      text: 'a quote is opened here and never closed',
    };
  }
  const bracket = /end with a ([\]}])/.exec(message)?.[1];
  if (bracket === undefined) return { offset: at, text: words(error) };
  const offset = opened(document, at, (node) => yaml.isCollection(node) && node.flow === true);
  return {
    offset,
    text: `this bracket is never closed with ${bracket}, or its lines are not indented`,
  };
}

const isQuoted = (node: unknown) =>
  yaml.isScalar(node) && (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE');

/** Where the last such node before an offset begins. */
function opened(
  document: Yaml.Document.Parsed,
  before: number,
  is: (node: unknown) => boolean,
): number {
  let best = -1;
  yaml.visit(document, {
    Node(_, node) {
      const at = node.range?.[0] ?? -1;
      if (is(node) && at < before && at > best) best = at;
    },
  });
  return best < 0 ? before : best;
}

function words({ code, message }: Yaml.YAMLError): string {
  const known = byCode[code];
  if (known !== undefined) return known;
  if (code === 'BAD_SCALAR_START') return 'a value cannot begin with @, ` or %; quote it';
  if (message.includes('map keys need to be followed')) return 'a colon is missing after this key';
  if (code === 'MISSING_CHAR') return 'a comma, a colon or a space after one is missing here';
  if (code === 'BAD_INDENT' || code === 'BAD_COLLECTION_TYPE') {
    return 'this line is indented less or more than its neighbours';
  }
  if (message.includes('flow-map-end') || message.includes('flow-seq-end')) {
    return 'a bracket is closed here that was never opened';
  }
  return 'this does not fit what stands before it; look at the indentation, brackets and quotes';
}
