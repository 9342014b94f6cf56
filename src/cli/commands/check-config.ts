/** `millrace check-config`: what is in force, and from where. */
import type { CommandSpec } from '../commands.ts';
import { configured, resolveCommand } from '../configured.ts';
import { listResolved } from '../listing.ts';

export const checkConfigCommand: CommandSpec = {
  shape: (command) => void configured(command),
  async run(command) {
    process.stdout.write(listResolved(resolveCommand(command)));
    return 0;
  },
};
