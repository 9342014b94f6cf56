/** Commands that need the options: the flags, and from them, the environment and the file what is in force. */
import type { Command } from 'commander';
import { MillraceError } from '../errors.ts';
import {
  type Inspection,
  inspectOptions,
  type Resolved,
  resolveOptions,
  type Sources,
} from '../options/resolve.ts';
import type { Options, UserOptions } from '../options/schema.ts';
import { addFlags, flagsOf } from './flags.ts';

const DEMO_PATIENCE_MS = 4_000;

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
export const resolveCommand = (command: Command): Resolved => resolveOptions(sourcesOf(command));

/** The same, with everything that is wrong as data; never throws for what a user wrote. */
export function inspectCommand(command: Command): Inspection {
  try {
    return inspectOptions(sourcesOf(command));
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'MILLRACE_CONFIG_UNREADABLE')
      throw error;
    const [, file = error.details.file, line, column] =
      /^(.*):(\d+):(\d+)$/.exec(String(error.details.file)) ?? [];
    const place =
      line === undefined
        ? {}
        : { place: { file: String(file), line: Number(line), column: Number(column) } };
    return { problems: [{ path: '', text: error.message, ...place }], warnings: [] };
  }
}

function sourcesOf(command: Command): Sources {
  const flags = flagsOf(command);
  const file =
    (command.getOptionValue('config') as string | undefined) ?? process.env.MILLRACE_CONFIG;
  const sources: Sources = { flags, env: process.env, ...(file ? { file } : {}) };
  const demo = inspectOptions(sources).resolved?.options.demo;
  return demo?.enabled ? { ...sources, code: forLooking(demo) } : sources;
}

/**
 * The demo is for looking at it: its page comes along, and nobody waits a minute to see a stall noticed. Weaker than whatever
 * anybody said.
 */
function forLooking({ firstTokenMs, tokensPerSecond }: Options['demo']): UserOptions {
  const stream = {
    firstDeltaTimeoutMs: Math.max(DEMO_PATIENCE_MS, 20 * firstTokenMs),
    gapTimeoutMs: Math.max(DEMO_PATIENCE_MS, Math.ceil(20_000 / tokensPerSecond)),
  };
  return { server: { page: true }, stream };
}
