/** The whole engine as a variant: everything on that is on by default, but log lines and the fixed ports. */
import type { UserOptions } from '../../src/options/schema.ts';
import type { Settings } from './bench.ts';
import type { Variant } from './variant.ts';

export function millrace(backend: 'uws' | 'ws', options: UserOptions = {}): UserOptions {
  return {
    ...options,
    server: { port: 0, backend, handshakesPerSecondMax: 1_000_000, ...options.server },
    admin: { port: 0 },
    log: { streams: false, ...options.log },
  };
}

/** One variant per backend asked for. */
export function millraceVariants(
  settings: Settings,
  path: string,
  options: UserOptions = {},
): Variant[] {
  return settings.backends.map((backend) => ({
    name: `millrace (${backend})`,
    peer: 'engine',
    settings: millrace(backend, options),
    path,
  }));
}
