/** `millrace check-config`: what is in force, and from where. */
import { lineOf } from '../../options/complain.ts';
import type { CommandSpec } from '../commands.ts';
import { complain } from '../complain.ts';
import { configured, resolveCommand } from '../configured.ts';
import { listResolved } from '../listing.ts';

export const checkConfigCommand: CommandSpec = {
  shape: (command) => void configured(command),
  async run(command) {
    const resolved = resolveCommand(command);
    for (const warning of resolved.warnings) complain(`warning: ${lineOf(warning)}`);
    process.stdout.write(listResolved(resolved));
    return 0;
  },
};
