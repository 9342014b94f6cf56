/**
 * JSON (RFC 8259) with the offset of every key and value, keys that stand twice, and words for what people write instead.
 * `JSON.parse` knows none of the three; it stays the judge of texts and numbers.
 */
import { DEPTH_MAX, type Malformed, type Parsed, type Spot, spotAt, tooDeep } from './parsed.ts';

class Stop extends Error {
  readonly offset: number;
  constructor(offset: number, text: string) {
    super(text);
    this.offset = offset;
  }
}

/** An empty text is an error, as in every JSON parser. */
export function parseJson(text: string): Parsed | Malformed {
  const reader = new Reader(text);
  try {
    return reader.document();
  } catch (stop) {
    if (stop instanceof Stop) return { offset: stop.offset, text: stop.message };
    throw stop;
  }
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const quoted = /"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;
const word = /[A-Za-z_$][\w$]*/y;
const words: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };

class Reader {
  readonly #text: string;
  readonly #twice: { path: readonly (string | number)[]; offset: number; first: number }[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Parsed {
    this.#space();
    const root = spotAt(this.#at, this.#at);
    const value = this.#value(root, []);
    this.#space();
    if (this.#at < this.#text.length) throw this.#stop('something follows the closing bracket');
    return { value, root, twice: this.#twice };
  }

  #value(spot: Spot, path: readonly (string | number)[]): unknown {
    const next = this.#text[this.#at];
    if (next === '{' || next === '[') {
      if (path.length >= DEPTH_MAX) throw this.#stop(tooDeep);
      return next === '{' ? this.#object(spot, path) : this.#list(spot, path);
    }
    if (next === '"') return this.#string();
    const digits = this.#match(number);
    if (digits !== undefined) return this.#number(digits);
    const name = this.#match(word);
    if (name !== undefined && Object.hasOwn(words, name)) return words[name];
    this.#at -= name?.length ?? 0;
    throw this.#stop(this.#insteadOfValue(name));
  }

  #object(spot: Spot, path: readonly (string | number)[]): Record<string, unknown> {
    // Without a prototype: `__proto__` is a key like any other.
    const value = Object.create(null) as Record<string, unknown>;
    this.#entries('}', (first) => {
      const key = this.#at;
      if (this.#text[key] !== '"') throw this.#stop(this.#insteadOfKey(first));
      const name = this.#string();
      this.#space();
      if (this.#text[this.#at] !== ':') throw this.#stop('a colon is missing after the key');
      this.#at++;
      this.#space();
      const below = spotAt(key, this.#at);
      const known = spot.below.get(name);
      if (known) this.#twice.push({ path: [...path, name], offset: key, first: known.key });
      else spot.below.set(name, below);
      value[name] = this.#value(below, [...path, name]);
    });
    return value;
  }

  #list(spot: Spot, path: readonly (string | number)[]): unknown[] {
    const value: unknown[] = [];
    this.#entries(']', (first) => {
      if (this.#text[this.#at] === ']') throw this.#stop(afterComma(first, ']'));
      const below = spotAt(this.#at, this.#at);
      spot.below.set(value.length, below);
      value.push(this.#value(below, [...path, value.length]));
    });
    return value;
  }

  /** What stands between an opening bracket and `closing`, separated by commas. */
  #entries(closing: '}' | ']', entry: (first: boolean) => void): void {
    const opened = this.#at++;
    this.#space();
    if (this.#text[this.#at] === closing) {
      this.#at++;
      return;
    }
    for (let first = true; ; first = false) {
      entry(first);
      this.#space();
      const next = this.#text[this.#at];
      if (next === undefined)
        throw new Stop(opened, `this bracket is never closed with ${closing}`);
      if (next !== ',' && next !== closing) {
        throw this.#stop(`a comma or ${closing} is missing here`);
      }
      this.#at++;
      if (next === closing) return;
      this.#space();
    }
  }

  #string(): string {
    const raw = this.#match(quoted);
    if (raw !== undefined) return JSON.parse(raw) as string;
    const rest = /"(?:[^"\\\n]|\\.)*/y;
    rest.lastIndex = this.#at;
    const [begun] = rest.exec(this.#text) ?? [''];
    if (this.#text[this.#at + begun.length] === '"') {
      throw this.#stop('a text holds a control character or an escape that JSON does not know');
    }
    throw this.#stop('a quote is opened here and not closed on its line');
  }

  #number(digits: string): number {
    const next = this.#text[this.#at];
    if (next === undefined || !/[\w.+]/.test(next)) return Number(digits);
    this.#at -= digits.length;
    throw this.#stop('not a number as JSON writes it (digits; no leading 0, 0x or _)');
  }

  #insteadOfKey(first: boolean): string {
    const next = this.#text[this.#at];
    if (next === '}') return afterComma(first, '}');
    if (next === undefined) return 'the file ends before its brackets are closed';
    if (next === "'") return 'JSON quotes with ", not with \'';
    if (next === '/' || next === '#') return comment;
    return 'a key stands in double quotes';
  }

  #insteadOfValue(name: string | undefined): string {
    const next = this.#text[this.#at];
    if (next === undefined) {
      return this.#at === 0 ? 'it is empty; write {}' : 'the file ends where a value should stand';
    }
    if (next === "'") return 'JSON quotes with ", not with \'';
    if (next === '/' || next === '#') return comment;
    if (name === 'NaN' || name === 'Infinity') return `JSON has no ${name}`;
    if (next === '-' || next === '+' || next === '.') {
      return 'not a number as JSON writes it (digits, perhaps a minus before and a point within)';
    }
    return name === undefined ? 'a value is missing here' : 'a text stands in double quotes';
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #space(): void {
    this.#match(/[ \t\r\n]*/y);
    const next = this.#text[this.#at];
    if (next === '/' || next === '#') throw this.#stop(comment);
  }

  #stop(text: string): Stop {
    return new Stop(this.#at, text);
  }
}

const comment = 'JSON has no comments; a file named .yaml may have them';

const afterComma = (first: boolean, closing: string) =>
  first ? 'a value is missing here' : `there is a comma before ${closing}`;
