/** `millrace serve`: the gateway. */
import type { Command } from 'commander';
import { createLog } from '../../observe/log.ts';
import { lineOf } from '../../options/complain.ts';
import type { CommandSpec } from '../commands.ts';
import { complain } from '../complain.ts';
import { configured, resolveCommand } from '../configured.ts';
import { serve } from '../serve.ts';

const LINGER_MS_MAX = 2_000;

const help = `
All options have flags: see millrace options.

Examples:
  $ millrace serve --demo                        try it: simulated upstreams and a page, no keys
  $ millrace serve --config millrace.yaml        the real thing
  $ MILLRACE_SERVER_PORT=9000 millrace serve --demo
`;

export const serveCommand: CommandSpec = {
  shape: (command) => void configured(command).addHelpText('after', help),
  run,
};

async function run(command: Command): Promise<number> {
  const { options, warnings } = resolveCommand(command);
  const log = createLog(options.log);
  for (const warning of warnings) log.warn({ event: 'option-warning' }, lineOf(warning));
  if (options.upstreams.length === 0 && !options.demo.enabled) {
    log.warn(
      { event: 'no-upstreams' },
      'no upstream is configured: only the echo path works; try --demo',
    );
  }
  // Loaded here, so that complaints need not wait for it.
  const { createEngine } = await import('../../engine/engine.ts');
  const code = await serve({
    engine: createEngine(options, { log }),
    log,
    signals: process,
    resolveAgain: () => resolveCommand(command),
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
  complain(`open ${page}${page.endsWith('/') ? '' : '/'}${what}; Ctrl+C ends it`);
}
