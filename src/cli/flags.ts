/** The options as flags of a command: every one that is no secret and no list of objects, as explain.ts names it. */
import { type Command, Option } from 'commander';
import { explain, isCommon, type OptionRow } from '../options/explain.ts';

const placeholder: Readonly<Record<OptionRow['kind'], string>> = {
  integer: ' <n>',
  number: ' <n>',
  // `--page` says true, `--page false` takes it back.
  boolean: ' [true|false]',
  text: ' <text>',
  choice: ' <name>',
  list: ' <a,b>',
  objects: '',
  names: '',
};

/** Adds the flags; `--help` shows the common ones. Values stay text: options/resolve.ts knows their types. */
export function addFlags(command: Command): void {
  for (const row of explain()) {
    if (row.flag === undefined) continue;
    const option = new Option(`${row.flag}${placeholder[row.kind]}`, about(row));
    command.addOption(isCommon(row) ? option : option.hideHelp());
  }
}

/** What was typed, by option path. */
export function flagsOf(command: Command): Record<string, unknown> {
  const typed: Record<string, unknown> = {};
  for (const row of explain()) {
    const option = command.options.find(({ long }) => long === row.flag);
    if (!option) continue;
    const value: unknown = command.getOptionValue(option.attributeName());
    if (value !== undefined) typed[row.path] = value;
  }
  return typed;
}

function about(row: OptionRow): string {
  const values = row.kind === 'choice' ? `${row.choices.join(', ')}; ` : '';
  const fallback = row.fallback === undefined ? 'none' : JSON.stringify(row.fallback);
  return `${row.sentence} (${values}default ${fallback}; ${row.env})`;
}
