/** `millrace check-config`: everything that is wrong, or what is in force and from where. */
import type { Command } from 'commander';
import { type Complaint, lineOf } from '../../options/complain.ts';
import type { CommandSpec } from '../commands.ts';
import { complain } from '../complain.ts';
import { configured, inspectCommand } from '../configured.ts';
import { listResolved, resolvedRows } from '../listing.ts';

const help = `
Every problem is one line: path, what is expected, what is there, where (file:line:column, flag or environment name).
Secrets are never shown. Warnings are about what is allowed and most likely not meant.

Exit codes:
  0  the configuration is right
  1  it is right, but --strict was given and there are warnings
  2  it is wrong, cannot be read, or the command line is wrong

Examples:
  $ millrace check-config --config millrace.yaml
  $ millrace check-config --config millrace.yaml --json | jq -r '.problems[] | "\\(.file):\\(.line)"'
  $ MILLRACE_SERVER_PORT=9000 millrace check-config
`;

const EXIT_WARNED = 1;
const EXIT_WRONG = 2;

export const checkConfigCommand: CommandSpec = {
  shape: (command) =>
    void configured(command)
      .option('--json', 'as JSON: { ok, problems, warnings, options }')
      .option('--strict', 'exit with 1 when there are warnings')
      .addHelpText('after', help),
  run,
};

async function run(command: Command): Promise<number> {
  const { json, strict } = command.opts<{ json?: boolean; strict?: boolean }>();
  const { resolved, problems, warnings } = inspectCommand(command);
  if (json) {
    const told = {
      ok: resolved !== undefined,
      problems: problems.map(asData),
      warnings: warnings.map(asData),
      options: resolved ? resolvedRows(resolved) : [],
    };
    process.stdout.write(`${JSON.stringify(told, null, 2)}\n`);
  } else {
    for (const problem of problems) complain(lineOf(problem));
    for (const warning of warnings) complain(`warning: ${lineOf(warning)}`);
    if (resolved) process.stdout.write(listResolved(resolved));
  }
  if (resolved === undefined) return EXIT_WRONG;
  return strict && warnings.length > 0 ? EXIT_WARNED : 0;
}

const asData = ({ place, ...rest }: Complaint) => ({ ...rest, ...place });
