/** `millrace init`: a configuration to begin with. */
import { existsSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { MillraceError } from '../../errors.ts';
import { type SampleFormat, sampleConfig } from '../../options/sample.ts';
import type { CommandSpec } from '../commands.ts';
import { complain } from '../complain.ts';

const help = `
Every option stands in the file with its sentence, commented out (JSON has no comments: there only a few stand).
Its first line tells editors where the JSON Schema is: in node_modules when millrace is installed beside the file,
otherwise ./millrace.schema.json, which you make with: millrace config-schema > millrace.schema.json

Examples:
  $ millrace init                                millrace.yaml
  $ millrace init etc/gateway.toml               the format follows from the name
  $ millrace init - --format json                to standard output
`;

const formats: readonly SampleFormat[] = ['yaml', 'toml', 'json'];
const byEnding: Readonly<Partial<Record<string, SampleFormat>>> = {
  '.yaml': 'yaml',
  '.yml': 'yaml',
  '.toml': 'toml',
  '.json': 'json',
};

export const initCommand: CommandSpec = {
  shape: (command) =>
    void command
      .argument('[file]', 'where to write; - is standard output (default: millrace.yaml)')
      .addOption(
        new Option(
          '--format <name>',
          'yaml, toml or json (default: by the name of the file)',
        ).choices(formats),
      )
      .option('--force', 'write over a file that is there')
      .addHelpText('after', help),
  run,
};

async function run(command: Command): Promise<number> {
  const { format: asked, force } = command.opts<{ format?: SampleFormat; force?: boolean }>();
  const named = command.args[0];
  const format = asked ?? byEnding[extname(named ?? '').toLowerCase()] ?? 'yaml';
  const file = named ?? `millrace.${format}`;
  const schema = schemaFor(file === '-' ? '.' : dirname(file));
  const text = sampleConfig({ format, schema: schema ?? './millrace.schema.json' });
  if (file === '-') {
    process.stdout.write(text);
    return 0;
  }
  write(file, text, force ?? false);
  complain(`wrote ${file}; next: millrace check-config --config ${file}`);
  if (schema === undefined) {
    complain(
      'for completion in an editor: millrace config-schema > millrace.schema.json beside it',
    );
  }
  return 0;
}

/** The schema of the installed package as a path from the folder, when the package lies in a node_modules above it. */
function schemaFor(folder: string): string | undefined {
  const own = fileURLToPath(new URL('../../../../docs/millrace.schema.json', import.meta.url));
  for (let at = resolve(folder); ; at = dirname(at)) {
    const there = join(at, 'node_modules/millrace/docs/millrace.schema.json');
    if (existsSync(there) && realpathSync(there) === realpathSync(own)) {
      const path = relative(folder, there).replaceAll('\\', '/');
      return path.startsWith('.') ? path : `./${path}`;
    }
    if (dirname(at) === at) return undefined;
  }
}

function write(file: string, text: string, force: boolean): void {
  try {
    // Exclusive: between a look and the writing somebody else may have come.
    writeFileSync(file, text, { flag: force ? 'w' : 'wx' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const there = code === 'EEXIST';
    const reason = there
      ? 'it is there already; --force writes over it'
      : (reasons[code ?? ''] ?? message);
    throw new MillraceError('MILLRACE_CONFIG_UNWRITABLE', { file, reason }, { cause: error });
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder',
  ENOTDIR: 'a part of its path is no folder',
  EACCES: 'this user may not write it',
  EPERM: 'this user may not write it',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a folder',
  ENOSPC: 'the disk is full',
};
