/** `millrace options`: the options themselves. */
import { explain } from '../../options/explain.ts';
import type { CommandSpec } from '../commands.ts';
import { listOptions } from '../listing.ts';

export const optionsCommand: CommandSpec = {
  shape: (command) => void command.option('--json', 'as JSON'),
  async run(command) {
    const { json } = command.opts<{ json?: boolean }>();
    process.stdout.write(json ? `${JSON.stringify(explain(), null, 2)}\n` : listOptions());
    return 0;
  },
};
