/** Loads code of the user's. What is wrong with it is the operator's to hear, with its place and one sentence. */
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../errors.ts';

const REASON_CHARS_MAX = 500;

/** What a module is for, in the words of the options. */
export type ModuleKind = 'route' | 'hooks' | 'provider' | 'dialect';

/**
 * The default export.
 *
 * @throws MILLRACE_MODULE_UNUSABLE when the file is missing, does not parse, throws, or has no default export.
 */
export async function loadModule(kind: ModuleKind, url: string): Promise<unknown> {
  const loaded = await load(kind, url);
  if (!('default' in loaded)) throw unusable(kind, url, 'it has no default export');
  return loaded['default'];
}

/** The sentence for a module that loads and is not what it should be. */
export function unusable(
  kind: ModuleKind,
  url: string,
  reason: string,
  cause?: unknown,
): MillraceError {
  const path = pathOf(url);
  return new MillraceError('MILLRACE_MODULE_UNUSABLE', { kind, path, reason }, { cause });
}

async function load(kind: ModuleKind, url: string): Promise<Record<string, unknown>> {
  const file = await stat(pathOf(url)).catch(() => undefined);
  // Node's own sentence would not tell the module from one that it imports.
  if (!file?.isFile()) throw unusable(kind, url, 'there is no such file');
  try {
    return (await import(url)) as Record<string, unknown>;
  } catch (thrown) {
    throw unusable(kind, url, reasonOf(thrown), thrown);
  }
}

function reasonOf(thrown: unknown): string {
  const text =
    thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : `it threw ${String(thrown)}`;
  return (text.split('\n')[0] ?? '').slice(0, REASON_CHARS_MAX);
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    return url;
  }
}
