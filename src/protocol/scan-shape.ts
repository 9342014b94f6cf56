/**
 * Where the changing parts of a chat-completion chunk lie in its bytes. Only for chunks that JSON.parse has accepted; gives up
 * (undefined) wherever an object could be read in two ways: a key twice, a key with an escape.
 */

export interface Slot {
  /** 'delta' and 'text' are escaped string bodies, 'digits' a plain positive integer. */
  readonly kind: 'delta' | 'text' | 'digits';
  readonly start: number;
  readonly end: number;
}

/** A chunk that was learnt: what lies between the slots is the same in every chunk of its shape. */
export interface Shape {
  readonly bytes: Uint8Array;
  readonly slots: readonly Slot[];
  /** Where the kernel laid it down; -1: nowhere yet. Its own mark (scan-kernel.ts). */
  laidAt: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

interface Range {
  readonly start: number;
  readonly end: number;
}
type Members = ReadonlyMap<string, Range>;

/** Where a string stands in an event: names of members, and 0 for the only element of a list. */
export type DeltaPath = readonly (string | 0)[];

/** A member of the top that changes from event to event and means nothing. */
export interface Volatile {
  readonly name: string;
  readonly kind: 'text' | 'digits';
}

/** The slots of a chunk in order, the delta's own (the string at `path`) among them. */
export function locate(
  chunk: Uint8Array,
  path: DeltaPath,
  volatile: readonly Volatile[],
): readonly Slot[] | undefined {
  const top = membersAt(chunk, skipSpace(chunk, 0));
  const body = top && stringAt(chunk, top, path);
  if (!top || !body) return undefined;
  const slots: Slot[] = [{ kind: 'delta', ...body }];
  for (const { name, kind } of volatile) {
    const value = kind === 'text' ? stringIn(chunk, top, name) : top.get(name);
    if (value && (kind === 'text' || isDigits(chunk, value))) slots.push({ kind, ...value });
  }
  return slots.toSorted((a, b) => a.start - b.start);
}

function stringAt(chunk: Uint8Array, top: Members, path: DeltaPath): Range | undefined {
  let members: Members | undefined = top;
  for (let at = 0; at < path.length - 1 && members !== undefined; at++) {
    const [key, next] = [path[at], path[at + 1]];
    if (typeof key !== 'string') continue;
    members = next === 0 ? firstIn(chunk, members, key) : objectIn(chunk, members, key);
  }
  return members && stringIn(chunk, members, String(path.at(-1)));
}

function objectIn(chunk: Uint8Array, members: Members, key: string): Members | undefined {
  const value = members.get(key);
  return value && membersAt(chunk, value.start);
}

/** The first element of an array, an object. The caller knows from parsing that there is only one. */
function firstIn(chunk: Uint8Array, members: Members, key: string): Members | undefined {
  const value = members.get(key);
  if (value === undefined || chunk[value.start] !== 0x5b) return undefined;
  return membersAt(chunk, skipSpace(chunk, value.start + 1));
}

/** A string's body, without its quotes. */
function stringIn(chunk: Uint8Array, members: Members, key: string): Range | undefined {
  const value = members.get(key);
  if (value === undefined || chunk[value.start] !== QUOTE) return undefined;
  return { start: value.start + 1, end: value.end - 1 };
}

function isDigits(chunk: Uint8Array, { start, end }: Range): boolean {
  for (let at = start; at < end; at++) if (chunk[at] < 0x30 || chunk[at] > 0x39) return false;
  return chunk[start] !== 0x30 && end - start <= 15;
}

/** Key to range of its value, for the object at `pos`; undefined when it is none or ambiguous. */
function membersAt(chunk: Uint8Array, pos: number): Members | undefined {
  if (chunk[pos] !== 0x7b) return undefined;
  const members = new Map<string, Range>();
  let at = skipSpace(chunk, pos + 1);
  while (chunk[at] === QUOTE) {
    const keyEnd = skipString(chunk, at);
    const key = Buffer.from(chunk.subarray(at + 1, keyEnd - 1)).toString('utf8');
    if (key.includes('\\') || members.has(key)) return undefined;
    at = skipSpace(chunk, keyEnd);
    if (chunk[at] !== COLON) return undefined;
    const start = skipSpace(chunk, at + 1);
    const end = skipValue(chunk, start);
    members.set(key, { start, end });
    at = skipSpace(chunk, end);
    if (chunk[at] === COMMA) at = skipSpace(chunk, at + 1);
  }
  return chunk[at] === 0x7d ? members : undefined;
}

function skipSpace(chunk: Uint8Array, pos: number): number {
  let at = pos;
  while (chunk[at] === 0x20 || chunk[at] === 0x0a || chunk[at] === 0x0d || chunk[at] === 0x09) at++;
  return at;
}

/** The position after the string that begins at `pos`. */
function skipString(chunk: Uint8Array, pos: number): number {
  let at = pos + 1;
  while (at < chunk.length && chunk[at] !== QUOTE) at += chunk[at] === BACKSLASH ? 2 : 1;
  return at + 1;
}

/** The position after the value that begins at `pos`, without what follows it. */
function skipValue(chunk: Uint8Array, pos: number): number {
  let depth = 0;
  let at = pos;
  while (at < chunk.length) {
    const byte = chunk[at];
    if (byte === QUOTE) {
      at = skipString(chunk, at);
      if (depth === 0) return at;
      continue;
    }
    if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (byte === COMMA || byte <= 0x20)) return at;
    at++;
  }
  return at;
}
