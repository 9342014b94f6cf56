/**
 * Secrets that stand elsewhere: in a secret option, the whole text `${NAME}` is the environment variable NAME, and
 * `${file:PATH}` the text of a file. No message holds the secret.
 */
import { resolve } from 'node:path';
import { isSecret } from './explain.ts';
import type { Env } from './named.ts';
import { isTree, type Path, type Problem, type Tree } from './paths.ts';
import { readBounded, textOf } from './read-bounded.ts';

/** Keys have some hundred bytes; a larger file is the wrong one. */
const SECRET_BYTES_MAX = 8 * 1024;
const READABLE_BY_ALL = 0o004;

export interface SecretSources {
  readonly env: Env;
  /** The folder that a relative path at this option starts from. */
  folderOf(path: Path): string;
  readonly problems: Problem[];
  readonly warnings: Problem[];
}

/** A copy with the secrets in it. What cannot be had becomes a problem. */
export function fillSecrets(value: unknown, path: Path, sources: SecretSources): unknown {
  if (Array.isArray(value)) {
    return value.map((below, index) => fillSecrets(below, [...path, index], sources));
  }
  if (isTree(value)) {
    // Without a prototype: a key named `__proto__` is a key like any other.
    const copy = Object.create(null) as Tree;
    for (const [key, below] of Object.entries(value)) {
      copy[key] = fillSecrets(below, [...path, key], sources);
    }
    return copy;
  }
  if (typeof value !== 'string') return value;
  if (isSecret(path)) return secretOf(value, path, sources);
  const name = /\$\{[\w:./-]*\}/.exec(value)?.[0];
  if (name !== undefined) {
    sources.warnings.push({ path, text: `holds ${name} as it stands: only secrets are filled in` });
  }
  return value;
}

function secretOf(text: string, path: Path, sources: SecretSources): string {
  const [, kind, name] = /^\$\{(file:|)([^{}]*)\}$/.exec(text) ?? [];
  if (name === undefined) return literal(text, path, sources);
  const secret =
    kind === 'file:' ? fromFile(name, path, sources) : fromEnvironment(name, path, sources);
  // What stands for the secret is shown by no message either.
  return secret ?? text;
}

/** Read at last where the secret is used: a text that only resembles a reference is none. */
function literal(text: string, path: Path, { problems, warnings }: SecretSources): string {
  const held = /\$\{(?:file:)?[\w./-]+\}/.test(text);
  if (held)
    problems.push({
      path,
      text: 'holds ${…} within a longer text; the whole text must be ${NAME} or ${file:PATH}',
    });
  else if (/^\$[A-Z][A-Z0-9_]*$/.test(text)) {
    problems.push({
      path,
      text: 'looks like a variable of the shell; write ${NAME} with the braces',
    });
  } else if (hasControls(text)) {
    problems.push({
      path,
      text: 'holds a line end or another control character; a secret is one line',
    });
  } else if (text !== text.trim()) {
    warnings.push({ path, text: 'begins or ends with a space, which is a part of the secret' });
  }
  return text;
}

function fromEnvironment(
  name: string,
  path: Path,
  { env, problems }: SecretSources,
): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    problems.push({
      path,
      text: 'must be ${NAME} (letters, digits, _) or ${file:PATH} between its braces',
    });
    return undefined;
  }
  const secret = env[name];
  if (secret) return secret;
  const state = secret === undefined ? 'not set' : 'empty';
  problems.push({ path, text: `names the environment variable ${name}, which is ${state}` });
  return undefined;
}

function fromFile(name: string, path: Path, sources: SecretSources): string | undefined {
  const file = resolve(sources.folderOf(path), name);
  const wrong = (reason: string) => {
    sources.problems.push({ path, text: `names the file ${file}: ${reason}` });
    return undefined;
  };
  if (name === '') return wrong('no path follows ${file:');
  let secret: string;
  try {
    const { bytes, mode } = readBounded(file, SECRET_BYTES_MAX);
    secret = textOf(bytes).replace(/\r?\n$/, '');
    if ((mode & READABLE_BY_ALL) !== 0 && process.platform !== 'win32') {
      const text = `names the file ${file}, which every user may read; chmod 600 it`;
      sources.warnings.push({ path, text });
    }
  } catch (error) {
    return wrong((error as Error).message);
  }
  if (secret === '') return wrong('it is empty');
  if (hasControls(secret)) return wrong('it holds more than one line, or a control character');
  return secret;
}

const hasControls = (text: string) => /\p{Cc}/u.test(text);
