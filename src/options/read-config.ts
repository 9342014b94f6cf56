/** A configuration file (YAML; JSON is YAML) as a layer that knows the line of every value. */
import { readFileSync, statSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { MillraceError } from '../errors.ts';
import { isTree, type Layer, type Path, type Tree } from './paths.ts';

/** More than any configuration needs; a larger file is a wrong file. */
const CONFIG_BYTES_MAX = 1024 * 1024;

/** @throws MILLRACE_CONFIG_UNREADABLE, with line and column where they are known, never with the text of a line. */
export function readConfig(file: string): Layer {
  const lines = new LineCounter();
  const document = parseDocument(text(file), { lineCounter: lines, prettyErrors: false });
  const [first] = document.errors;
  if (first) {
    const { line, col } = lines.linePos(first.pos[0]);
    throw unreadable(file, `line ${line}, column ${col}: ${words(first.message)}`);
  }
  const tree = plain(file, () => document.toJS({ maxAliasCount: 100 }) as unknown);
  const at = (path: Path): number | undefined => {
    const node = document.getIn(path, true) as { range?: readonly number[] } | undefined;
    return node?.range ? lines.linePos(node.range[0]).line : undefined;
  };
  return {
    tree,
    origin(path) {
      const line = at(path);
      return line === undefined ? `file ${file}` : `file ${file}:${line}`;
    },
  };
}

function text(file: string): string {
  try {
    if (statSync(file).size > CONFIG_BYTES_MAX) {
      throw new Error(`it has more than ${CONFIG_BYTES_MAX} bytes`);
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, reasonOf(error), error);
  }
}

function plain(file: string, convert: () => unknown): Tree {
  let value: unknown;
  try {
    value = convert();
  } catch (error) {
    throw unreadable(file, words((error as Error).message), error);
  }
  // An empty file says nothing.
  if (value === null || value === undefined) return {};
  if (!isTree(value)) throw unreadable(file, 'it must hold a mapping of options');
  return value;
}

/** The parser's sentence without what it quotes after a colon: that may be a part of a key. */
const words = (message: string) => message.split(':')[0];

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'it may not be read';
  if (code === 'EISDIR') return 'it is a folder';
  return message;
}

function unreadable(file: string, reason: string, cause?: unknown): MillraceError {
  return new MillraceError('MILLRACE_CONFIG_UNREADABLE', { file, reason }, { cause });
}
