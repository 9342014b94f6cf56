/** `millrace config-schema`: what an editor needs to complete and check a configuration. */
import { jsonSchema } from '../../options/json-schema.ts';
import type { CommandSpec } from '../commands.ts';

const help = `
The package holds the same text as docs/millrace.schema.json (import 'millrace/config-schema.json').

Examples:
  $ millrace config-schema > millrace.schema.json
  and as the first line of millrace.yaml:
  # yaml-language-server: $schema=./millrace.schema.json
`;

export const configSchemaCommand: CommandSpec = {
  shape: (command) => void command.addHelpText('after', help),
  async run() {
    process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    return 0;
  },
};
