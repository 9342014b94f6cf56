/**
 * Where the keys and values of a TOML text stand. The text is known to be valid: only what moves on is read, nothing is
 * judged. (smol-toml tells positions of mistakes only.)
 */
import { type Spot, spotAt } from './parsed.ts';

export function locateToml(text: string): Spot {
  return new Locator(text).document();
}

interface Key {
  readonly name: string;
  readonly at: number;
}

class Locator {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Spot {
    const root = spotAt(0, 0);
    let table = root;
    for (;;) {
      this.#between();
      if (this.#at >= this.#text.length) return root;
      if (this.#text[this.#at] === '[') table = this.#header(root);
      else this.#pair(table);
    }
  }

  /** `[a.b]`, or `[[a.b]]`, which adds an entry to a list. */
  #header(root: Spot): Spot {
    const list = this.#text[this.#at + 1] === '[';
    this.#at += list ? 2 : 1;
    const keys = this.#keys();
    this.#at += list ? 2 : 1;
    const last = keys.at(-1);
    const holder = descend(root, keys);
    if (!list || last === undefined) return holder;
    const entry = spotAt(last.at, last.at);
    holder.below.set(holder.below.size, entry);
    return entry;
  }

  #pair(table: Spot): void {
    const keys = this.#keys();
    // Behind the =.
    this.#at++;
    this.#space();
    const last = keys.pop();
    if (last === undefined) return;
    const spot = spotAt(last.at, this.#at);
    descend(table, keys).below.set(last.name, spot);
    this.#value(spot);
  }

  /** `a . "b" . c`, up to what follows. */
  #keys(): Key[] {
    const keys: Key[] = [];
    for (;;) {
      this.#space();
      const at = this.#at;
      const quote = this.#text[at];
      if (quote === '"' || quote === "'") {
        this.#string();
        const raw = this.#text.slice(at, this.#at);
        keys.push({ name: quote === '"' ? unescaped(raw) : raw.slice(1, -1), at });
      } else {
        this.#skip(/[A-Za-z0-9_-]*/y);
        keys.push({ name: this.#text.slice(at, this.#at), at });
      }
      this.#space();
      if (this.#text[this.#at] !== '.') return keys;
      this.#at++;
    }
  }

  #value(spot: Spot): void {
    const first = this.#text[this.#at];
    if (first === '"' || first === "'") this.#string();
    else if (first === '[') this.#list(spot);
    else if (first === '{') this.#inline(spot);
    else this.#skip(/[^,\]}#\r\n]*/y);
  }

  #list(spot: Spot): void {
    this.#at++;
    for (;;) {
      this.#between();
      const next = this.#text[this.#at];
      if (next === ']' || next === undefined) break;
      const entry = spotAt(this.#at, this.#at);
      spot.below.set(spot.below.size, entry);
      this.#value(entry);
    }
    this.#at++;
  }

  #inline(spot: Spot): void {
    this.#at++;
    for (;;) {
      this.#between();
      const next = this.#text[this.#at];
      if (next === '}' || next === undefined) break;
      this.#pair(spot);
    }
    this.#at++;
  }

  #string(): void {
    const found =
      this.#skip(/"""(?:[^\\]|\\[^])*?"{3,5}|'''[^]*?'{3,5}/y) ||
      this.#skip(/"(?:[^"\\]|\\.)*"|'[^']*'/y);
    if (found === 0) this.#at++;
  }

  /** Spaces, line ends, commas and comments. */
  #between(): void {
    while (this.#skip(/[ \t\r\n,]+|#[^\n]*/y) > 0);
  }

  #space(): void {
    this.#skip(/[ \t]*/y);
  }

  #skip(pattern: RegExp): number {
    pattern.lastIndex = this.#at;
    const length = pattern.exec(this.#text)?.[0].length ?? 0;
    this.#at += length;
    return length;
  }
}

/** Through tables that may not have been named yet, and into the last entry of a list of tables. */
function descend(from: Spot, keys: readonly Key[]): Spot {
  let spot = from;
  for (const { name, at } of keys) {
    let below = (lastEntry(spot) ?? spot).below.get(name);
    if (below === undefined) {
      below = spotAt(at, at);
      (lastEntry(spot) ?? spot).below.set(name, below);
    }
    spot = below;
  }
  return spot;
}

function lastEntry(spot: Spot): Spot | undefined {
  return spot.below.get(spot.below.size - 1);
}

/** TOML's escapes are JSON's and two longer ones. */
function unescaped(raw: string): string {
  const json = raw
    .replaceAll(/\\U([0-9a-fA-F]{8})/g, (_, hex: string) =>
      String.fromCodePoint(Number.parseInt(hex, 16)),
    )
    .replaceAll(/\\e/g, '\\u001b');
  return JSON.parse(json) as string;
}
