/**
 * The commands. Exit codes: 0 done, 1 the engine could not start or was cut off, 2 the command line or the configuration is
 * wrong. Complaints are one line each on standard error; the log is on standard output.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { asMillraceError } from '../errors.ts';
import { createLog } from '../observe/log.ts';
import { explain } from '../options/explain.ts';
import { type Resolved, resolveOptions } from '../options/resolve.ts';
import { addFlags, flagsOf } from './flags.ts';
import { listOptions, listResolved } from './listing.ts';
import { serve } from './serve.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const LINGER_MS_MAX = 2_000;

const examples = `
Examples:
  $ millrace serve --demo                        try it: simulated upstreams and a page, no keys
  $ millrace serve --config millrace.yaml        the real thing
  $ millrace check-config --config millrace.yaml what is in force, and where each option came from
  $ MILLRACE_SERVER_PORT=9000 millrace serve --demo
`;

/** Runs a command line (without the program's name). Resolves with the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = programOf(async (command) => {
    code = await serveCommand(command);
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT_USAGE;
    const error = asMillraceError(thrown);
    const usage = ['MILLRACE_OPTION_INVALID', 'MILLRACE_CONFIG_UNREADABLE'].includes(error.code);
    for (const line of error.message.split('\n')) complain(line);
    return usage ? EXIT_USAGE : EXIT_FAILED;
  }
}

function complain(line: string): void {
  process.stderr.write(`millrace: ${line}\n`);
}

function programOf(onServe: (command: Command) => Promise<void>): Command {
  const program = new Command('millrace')
    .description('A WebSocket engine for LLM streams.')
    .version(version())
    .exitOverride()
    .configureOutput({
      outputError: (text) =>
        complain(
          text
            .trim()
            .replace(/^error: /, '')
            .replaceAll('\n', ' '),
        ),
    })
    .addHelpText('after', examples);
  const serveIt = configured(program.command('serve'))
    .description('Serve WebSocket clients until SIGTERM or SIGINT; running streams may finish.')
    .addHelpText('after', `\nAll options have flags: see millrace options.\n${examples}`);
  serveIt.action(() => onServe(serveIt));
  const check = configured(program.command('check-config')).description(
    'Check the configuration; print every option in force with its origin.',
  );
  check.action(() => void process.stdout.write(listResolved(resolved(check))));
  program
    .command('options')
    .description('List every option with its default, environment name and flag.')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }) => {
      process.stdout.write(json ? `${JSON.stringify(explain(), null, 2)}\n` : listOptions());
    });
  return program;
}

function configured(command: Command): Command {
  command.option('-c, --config <file>', 'YAML or JSON file (MILLRACE_CONFIG)');
  addFlags(command);
  return command.allowExcessArguments(false);
}

function resolved(command: Command): Resolved {
  const flags = flagsOf(command);
  // The demo is for looking at it: its page comes along unless somebody said otherwise.
  if (String(flags['demo.enabled']) === 'true') flags['server.page'] ??= true;
  const file =
    (command.getOptionValue('config') as string | undefined) ?? process.env.MILLRACE_CONFIG;
  return resolveOptions({ flags, env: process.env, ...(file ? { file } : {}) });
}

async function serveCommand(command: Command): Promise<number> {
  const { options } = resolved(command);
  const log = createLog(options.log);
  if (options.upstreams.length === 0 && !options.demo.enabled) {
    log.warn(
      { event: 'no-upstreams' },
      'no upstream is configured: only the echo path works; try --demo',
    );
  }
  // Loaded here, so that --help and complaints need not wait for it.
  const { createEngine } = await import('../engine/engine.ts');
  const code = await serve({
    engine: createEngine(options, { log }),
    log,
    signals: process,
    exit: (now) => process.exit(now),
    onListening: (url) => options.server.page && greet(url, options.demo.enabled),
  });
  // Everything is closed: the process ends by itself. Should something still hold it, it must not hang.
  setTimeout(() => process.exit(code), LINGER_MS_MAX).unref();
  return code;
}

/** For the person at the terminal; machines read the log. */
function greet(url: string, demo: boolean): void {
  const page = url.replace(/^ws/, 'http');
  const what = demo ? ' (demo: the answers are simulated)' : '';
  process.stderr.write(
    `millrace: open ${page}${page.endsWith('/') ? '' : '/'}${what}; Ctrl+C ends it\n`,
  );
}

function version(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
