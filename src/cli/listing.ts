/** Options on a terminal: all of them, or those in force with where each came from. */
import { explain, isSecret, type OptionRow } from '../options/explain.ts';
import { dotted, leaves } from '../options/paths.ts';
import type { Resolved } from '../options/resolve.ts';

/** Every option with its default, environment name and sentence. */
export function listOptions(): string {
  return explain().map(describe).join('\n');
}

function describe(row: OptionRow): string {
  const fallback = row.fallback === undefined ? 'no default' : JSON.stringify(row.fallback);
  const names = [row.env, row.flag].filter((name) => name !== undefined).join(', ');
  return [
    `${row.path}  (${row.expected}; ${row.required ? 'required' : fallback})`,
    `    ${row.sentence}`,
    ...(names === '' ? [] : [`    ${names}`]),
    '',
  ].join('\n');
}

/** The options in force, one a line, with their origin. Secrets are hidden. */
export function listResolved({ options, origins }: Resolved): string {
  const lines = leaves(options).map(({ path, value }) => {
    const name = dotted(path);
    const said = Array.isArray(value) && value.length === 0 ? false : isSecret(path);
    return `${name} = ${said ? '(hidden)' : JSON.stringify(value)}  # ${origins.get(name)}`;
  });
  return `${lines.join('\n')}\n`;
}
