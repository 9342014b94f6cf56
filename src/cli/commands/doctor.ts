/** `millrace doctor`: whether it would run here, and whether it runs. */
import type { Command } from 'commander';
import { lineOf } from '../../options/complain.ts';
import { type Inspection, resolveOptions } from '../../options/resolve.ts';
import type { CommandSpec } from '../commands.ts';
import { complain } from '../complain.ts';
import { configured, inspectCommand, resolveCommand } from '../configured.ts';
import { type Check, listChecks, wantsColour } from '../doctor/check.ts';
import { askReady, readyUrl } from '../doctor/ready.ts';

const help = `
Looks at Node, the C library, the server backend, threads, memory, open files, ports and the clock, for the options
in force. Nothing is started or changed. The options come from --config, flags and the environment, as for serve.

--ready asks a running gateway instead: the /readyz of its admin port. For the HEALTHCHECK of a container.

Exit codes:
  0  nothing fails (there may be warnings); with --ready: it is ready
  1  something fails; with --ready: it is not ready, or does not answer
  2  the command line is wrong

Examples:
  $ millrace doctor
  $ millrace doctor --config millrace.yaml --json | jq '.checks[] | select(.status != "ok")'
  $ millrace doctor --ready
  $ millrace doctor --ready --url http://127.0.0.1:9090
`;

const EXIT_FAILED = 1;

export const doctorCommand: CommandSpec = {
  shape: (command) =>
    void configured(command)
      .option('--json', 'as JSON: { ok, checks }')
      .option('--ready', 'ask a running gateway whether it is ready')
      .option('--url <url>', 'its admin port (default: admin.host and admin.port of the options)')
      .addHelpText('after', help),
  async run(command) {
    const { ready, url, json } = command.opts<{ ready?: boolean; url?: string; json?: boolean }>();
    if (ready || url !== undefined) return tellReady(command, url, json ?? false);
    const checks = await examine(inspectCommand(command));
    const ok = checks.every(({ status }) => status !== 'fail');
    const { stdout } = process;
    stdout.write(
      json
        ? `${JSON.stringify({ ok, checks }, null, 2)}\n`
        : listChecks(checks, wantsColour(stdout.isTTY, process.env)),
    );
    return ok ? 0 : EXIT_FAILED;
  },
};

async function examine({ resolved, problems, warnings }: Inspection): Promise<Check[]> {
  const { machineFacts } = await import('../doctor/machine.ts');
  const { judge } = await import('../doctor/judge.ts');
  const { probeEngine } = await import('../../engine/probe.ts');
  // With a wrong configuration the rest is judged by the defaults.
  const { options } = resolved ?? resolveOptions();
  const engine = await probeEngine(options);
  const rest = judge({ options, machine: machineFacts(), engine });
  return [configuration(problems.map(lineOf), warnings.map(lineOf)), ...rest];
}

function configuration(problems: readonly string[], warnings: readonly string[]): Check {
  const name = 'configuration';
  if (problems.length > 0) {
    const remedy = 'correct it; what follows is judged by the defaults';
    return { name, status: 'fail', text: problems.join('\n'), remedy };
  }
  if (warnings.length === 0) return { name, status: 'ok', text: 'no mistake found' };
  return { name, status: 'warn', text: warnings.join('\n'), remedy: 'see millrace check-config' };
}

async function tellReady(
  command: Command,
  url: string | undefined,
  json: boolean,
): Promise<number> {
  // Whoever supervises knows two answers: a configuration that is wrong is one way not to be ready.
  const answer = await readyUrl(url, () => resolveCommand(command).options).then(
    askReady,
    (error: unknown) => ({
      ready: false,
      text: (error as Error).message,
    }),
  );
  if (json) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else if (answer.ready) process.stdout.write(`${answer.text}\n`);
  else complain(answer.text);
  return answer.ready ? 0 : EXIT_FAILED;
}
