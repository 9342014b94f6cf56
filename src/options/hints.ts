/** What somebody most likely meant by a value that an option does not take: the end of the sentence that refuses it. */
import type { OptionRow } from './explain.ts';
import { nearest } from './nearest.ts';
import { isTree } from './paths.ts';

const millisecondsOf: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  sec: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const bytesOf: Readonly<Record<string, number>> = {
  b: 1,
  k: 1024,
  kb: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1024 ** 3,
  gib: 1024 ** 3,
};

/** Undefined when nothing is likely: a wrong hint is worse than none. */
export function hintFor(row: OptionRow, value: unknown, origin = ''): string | undefined {
  // Nothing of a secret is said, not even what it resembles.
  if (row.secret) return undefined;
  switch (row.kind) {
    case 'integer':
    case 'number':
      return typeof value === 'string' ? ofNumber(row, value.trim()) : ofScale(row, value);
    case 'boolean':
      return ofBoolean(value);
    case 'choice':
      return ofChoice(row, value);
    case 'list':
      return typeof value === 'string'
        ? `a list of one is written [${JSON.stringify(value)}]`
        : undefined;
    case 'text':
      return ofText(row, value);
    case 'objects':
      return ofObjects(value, origin);
    case 'names':
      return undefined;
  }
  return undefined;
}

function ofNumber(row: OptionRow, text: string): string | undefined {
  if (/^-?\d+(\.\d+)?$/.test(text)) return 'write it without quotes';
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text) ?? [];
  if (unit === undefined)
    return /^\d[\d_,' ]*\d$/.test(text) ? 'write the digits alone' : undefined;
  const time = row.path.endsWith('Ms');
  const factor = (time ? millisecondsOf : row.path.includes('ytes') ? bytesOf : {})[
    unit.toLowerCase()
  ];
  if (factor === undefined) return undefined;
  return `it is a number of ${time ? 'milliseconds' : 'bytes'}: ${Math.round(Number(digits) * factor)}`;
}

/** Seconds where milliseconds stand are the usual slip. */
function ofScale(row: OptionRow, value: unknown): string | undefined {
  const { minimum = 0 } = row;
  if (typeof value !== 'number' || value <= 0 || value >= minimum) return undefined;
  if (!row.path.endsWith('Ms')) return undefined;
  const meant = value * 1_000;
  const hint = meant >= minimum && meant <= (row.maximum ?? 0) ? `; did you mean ${meant}?` : '';
  return `it is a number of milliseconds${hint}`;
}

function ofBoolean(value: unknown): string | undefined {
  if (typeof value !== 'string' && value !== 0 && value !== 1) return undefined;
  const text = String(value).toLowerCase();
  const quotes = typeof value === 'string' ? ', without quotes' : '';
  if (['yes', 'on', 'y', '1', 'true'].includes(text)) return `write true${quotes}`;
  return ['no', 'off', 'n', '0', 'false'].includes(text) ? `write false${quotes}` : undefined;
}

function ofChoice(row: OptionRow, value: unknown): string | undefined {
  const meant = typeof value === 'string' ? nearest(value, row.choices) : undefined;
  return meant === undefined ? undefined : `did you mean ${meant}?`;
}

function ofObjects(value: unknown, origin: string): string | undefined {
  if (isTree(value)) return 'each entry begins with "- " in YAML, with [[name]] in TOML';
  // Text of the environment that did not parse.
  const json = typeof value === 'string' && origin.startsWith('environment');
  return json ? 'it is written as JSON: [{"name": …}]' : undefined;
}

/** Where a group of options belongs. */
export function hintForGroup(value: unknown): string | undefined {
  const glued = typeof value === 'string' && /^\w+:\S/.test(value);
  return glued ? 'a space is missing after the colon' : undefined;
}

function ofText(row: OptionRow, value: unknown): string | undefined {
  if (value instanceof Date) return 'write it in quotes';
  if (typeof value === 'number' || typeof value === 'boolean')
    return `write it in quotes: "${value}"`;
  if (typeof value !== 'string' || value === '') return undefined;
  if (row.expected.includes('begins with /') && /^[\w.-]+(\/[\w.-]+)*$/.test(value)) {
    return `did you mean "/${value}"?`;
  }
  const url =
    row.expected.includes('http://') && /^[\w-]+(\.[\w-]+)*(:\d+)?(\/[\w./-]*)?$/.test(value);
  if (!url) return undefined;
  const local = /^(localhost|127\.|\d+\.\d+\.\d+\.\d+|[\w-]+:)/.test(value);
  return `did you mean ${local ? 'http' : 'https'}://${value}?`;
}
