/** Commands that need the options: the flags, and from them, the environment and the file what is in force. */
import type { Command } from 'commander';
import { type Resolved, resolveOptions } from '../options/resolve.ts';
import { addFlags, flagsOf } from './flags.ts';

/** Adds `--config` and a flag for every option. */
export function configured(command: Command): Command {
  command.option('-c, --config <file>', 'YAML, TOML or JSON file (MILLRACE_CONFIG)');
  addFlags(command);
  return command;
}

/**
 * Reads the sources that the command line names: the file, the environment, the flags. Called again, it reads them again as
 * they are by then.
 *
 * @throws MILLRACE_OPTION_INVALID, MILLRACE_CONFIG_UNREADABLE
 */
export function resolveCommand(command: Command): Resolved {
  const flags = flagsOf(command);
  // The demo is for looking at it: its page comes along unless somebody said otherwise.
  if (String(flags['demo.enabled']) === 'true') flags['server.page'] ??= true;
  const file =
    (command.getOptionValue('config') as string | undefined) ?? process.env.MILLRACE_CONFIG;
  return resolveOptions({ flags, env: process.env, ...(file ? { file } : {}) });
}
