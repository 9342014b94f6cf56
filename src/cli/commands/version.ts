/** `millrace version`: the same as `--version`, with what it runs on when asked for JSON. */
import type { CommandSpec } from '../commands.ts';
import { version } from '../version.ts';

const help = `
Examples:
  $ millrace version
  $ millrace version --json | jq -r .node
`;

export const versionCommand: CommandSpec = {
  shape: (command) =>
    void command.option('--json', 'as JSON, with the version of Node').addHelpText('after', help),
  async run(command) {
    const { json } = command.opts<{ json?: boolean }>();
    const own = version();
    const all = { millrace: own, node: process.versions.node };
    process.stdout.write(json ? `${JSON.stringify(all)}\n` : `${own}\n`);
    return 0;
  },
};
