/**
 * Runs a command line. Exit codes: 0 done, 1 the engine could not start or was cut off, 2 the command line or the configuration is
 * wrong. Complaints are one line each on standard error; the log is on standard output.
 */
import { Command, CommanderError } from 'commander';
import { asMillraceError } from '../errors.ts';
import { type CommandRow, commands } from './commands.ts';
import { complain } from './complain.ts';
import { version } from './version.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

const usageCodes: ReadonlySet<string> = new Set([
  'MILLRACE_OPTION_INVALID',
  'MILLRACE_CONFIG_UNREADABLE',
]);

const examples = `
Exit codes: 0 done; 1 it failed; 2 the command line or the configuration is wrong.

Examples:
  $ millrace serve --demo                        try it: simulated upstreams and a page, no keys
  $ millrace init                                write millrace.yaml, with every option explained
  $ millrace check-config --config millrace.yaml what is in force, and where each option came from
  $ millrace serve --config millrace.yaml        the real thing
`;

/** Runs a command line (without the program's name). Resolves with the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = programOf((result) => (code = result));
  try {
    await program.parseAsync(helpAsFlag(args), { from: 'user' });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT_USAGE;
    const error = asMillraceError(thrown);
    const usage = usageCodes.has(error.code);
    for (const line of error.message.split('\n')) complain(line);
    return usage ? EXIT_USAGE : EXIT_FAILED;
  }
}

/** `help serve` as `serve --help`: only the flag waits until the command's file is loaded. */
function helpAsFlag(args: readonly string[]): string[] {
  const [first, name, ...rest] = args;
  return first === 'help' && name !== undefined ? [name, '--help', ...rest] : [...args];
}

function programOf(done: (code: number) => void): Command {
  const rows = new Map<Command, CommandRow>();
  const program = new Command('millrace')
    .description('A WebSocket engine for LLM streams.')
    .version(version())
    .exitOverride()
    .configureOutput({ outputError: (text) => complain(oneLine(text)) })
    .addHelpText('after', examples);
  for (const row of commands) {
    const command = program.command(row.name).description(row.summary);
    rows.set(command.allowExcessArguments(false), row);
  }
  program.hook('preSubcommand', async (_, command) => {
    const spec = await rows.get(command)?.load();
    spec?.shape(command);
    command.action(async () => done((await spec?.run(command)) ?? 0));
  });
  return program;
}

const oneLine = (text: string) =>
  text
    .trim()
    .replace(/^error: /, '')
    .replaceAll('\n', ' ');
