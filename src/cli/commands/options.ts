/** `millrace options`: the options themselves. */
import { explain } from '../../options/explain.ts';
import type { CommandSpec } from '../commands.ts';
import { listEnvironment, listOptions } from '../listing.ts';

const help = `
Examples:
  $ millrace options | less
  $ millrace options --env                       names for the environment, with their defaults
  $ millrace options --json | jq '.[] | select(.secret) | .path'
`;

export const optionsCommand: CommandSpec = {
  shape: (command) =>
    void command
      .option('--json', 'as JSON')
      .option('--env', 'environment names only, one a line, as an environment file has them')
      .addHelpText('after', help),
  async run(command) {
    const { json, env } = command.opts<{ json?: boolean; env?: boolean }>();
    const rows = env ? explain().filter((row) => row.env !== undefined) : explain();
    const text = env ? listEnvironment() : listOptions();
    process.stdout.write(json ? `${JSON.stringify(rows, null, 2)}\n` : text);
    return 0;
  },
};
