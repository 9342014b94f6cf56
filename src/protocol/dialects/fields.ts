/**
 * Reads a client's JSON: every getter says in one sentence what stood where and what was expected. Absent and null are the
 * same here (clients send null for "not set"). Only own, named fields are looked at, so a `__proto__` or `constructor` in a
 * message is a field like any other.
 */
import { MillraceError } from '../../errors.ts';

/** Longest piece of a client's own value that is said back to it. */
const GOT_CHARS_MAX = 64;

export class Fields {
  readonly path: string;
  readonly #of: Readonly<Record<string, unknown>>;

  /** `path` names the object in sentences: '' for the message itself, else `input[3]`. */
  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalid(path === '' ? 'the message' : path, 'an object', value);
    this.path = path;
    this.#of = value as Record<string, unknown>;
  }

  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  get names(): string[] {
    return Object.keys(this.#of);
  }

  raw(name: string): unknown {
    return Object.hasOwn(this.#of, name) ? (this.#of[name] ?? undefined) : undefined;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  string(name: string): string | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === 'string') return value;
    throw invalid(this.at(name), 'a string', value);
  }

  /** A string that must be there, with at least one character. */
  text(name: string): string {
    const value = this.raw(name);
    if (typeof value === 'string' && value !== '') return value;
    throw invalid(this.at(name), 'a non-empty string', value);
  }

  boolean(name: string): boolean | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw invalid(this.at(name), 'true or false', value);
  }

  number(name: string, min: number, max: number): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && value >= min && value <= max) return value;
    throw invalid(this.at(name), `a number from ${min} to ${max}`, value);
  }

  integer(name: string, min: number, max = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max)
      return value as number;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw invalid(this.at(name), `an integer ${range}`, value);
  }

  list(name: string): readonly unknown[] | undefined {
    const value = this.raw(name);
    if (value === undefined || Array.isArray(value)) return value;
    throw invalid(this.at(name), 'an array', value);
  }

  object(name: string): Fields | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : new Fields(value, this.at(name));
  }

  oneOf<const T extends string>(name: string, words: readonly T[]): T | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const known = words.find((word) => word === value);
    if (known !== undefined) return known;
    throw invalid(this.at(name), alternatives(words), value);
  }

  /** Passed on as it came: only its depth is bounded, because whoever prints it again recurses. */
  passed(name: string, depthMax = 128): unknown {
    const value = this.raw(name);
    if (value !== undefined && !nestsWithin(value, depthMax))
      throw invalid(this.at(name), `nested at most ${depthMax} levels deep`, value);
    return value;
  }
}

export function invalid(path: string, expected: string, got: unknown): MillraceError {
  return new MillraceError('MILLRACE_FIELD_INVALID', { path, expected, got: describe(got) });
}

export function unsupported(path: string, reason: string): MillraceError {
  return new MillraceError('MILLRACE_FIELD_UNSUPPORTED', { path, reason });
}

/** What a value is, short enough for a sentence. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return JSON.stringify(slice(value, GOT_CHARS_MAX));
  return JSON.stringify(value);
}

/** A client's text, bounded, without half a character at its end. */
export function slice(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  return `${text.slice(0, charsMax).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

export function alternatives(words: readonly string[]): string {
  return `one of ${words.map((word) => `"${word}"`).join(', ')}`;
}

function nestsWithin(value: unknown, depthMax: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depthMax === 0) return false;
  for (const inner of Object.values(value)) if (!nestsWithin(inner, depthMax - 1)) return false;
  return true;
}
