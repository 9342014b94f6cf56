/**
 * The commands as a table. A command's own file is loaded only when it is asked for: `--help` and `--version` need neither the
 * options nor the engine.
 */
import type { Command } from 'commander';

/** What a command's file exports. */
export interface CommandSpec {
  /** Adds arguments, flags and the examples of `--help`. */
  shape(command: Command): void;
  /** Does it. Resolves with the exit code. */
  run(command: Command): Promise<number>;
}

export interface CommandRow {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CommandSpec>;
}

export const commands: readonly CommandRow[] = [
  {
    name: 'serve',
    summary: 'Serve WebSocket clients until SIGTERM or SIGINT; running streams may finish.',
    load: async () => (await import('./commands/serve.ts')).serveCommand,
  },
  {
    name: 'init',
    summary: 'Write a commented configuration to begin with.',
    load: async () => (await import('./commands/init.ts')).initCommand,
  },
  {
    name: 'check-config',
    summary: 'Check the configuration; print every option in force with its origin.',
    load: async () => (await import('./commands/check-config.ts')).checkConfigCommand,
  },
  {
    name: 'doctor',
    summary: 'Look at this machine: what works, what does not, what to do about it.',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
  {
    name: 'options',
    summary: 'List every option with its default, environment name and flag.',
    load: async () => (await import('./commands/options.ts')).optionsCommand,
  },
  {
    name: 'config-schema',
    summary: 'Print the JSON Schema of the configuration, for editors.',
    load: async () => (await import('./commands/config-schema.ts')).configSchemaCommand,
  },
  {
    name: 'version',
    summary: 'Print the version of millrace.',
    load: async () => (await import('./commands/version.ts')).versionCommand,
  },
];
