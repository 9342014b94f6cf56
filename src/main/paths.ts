/** Which path speaks what: those of the options, and those the application adds before the start. */
import { MillraceError } from '../errors.ts';
import type { DialectName } from '../options/names.ts';

export class Paths {
  readonly #dialects = new Map<string, DialectName>();

  constructor(configured: Readonly<Record<string, string>>) {
    for (const [dialect, path] of Object.entries(configured)) this.#dialects.set(path, dialect);
  }

  /** @throws MILLRACE_PATH_INVALID, MILLRACE_PATH_TAKEN */
  claim(path: string, dialect: DialectName): void {
    if (typeof path !== 'string' || !/^\/[^?#\s]*$/.test(path))
      throw new MillraceError('MILLRACE_PATH_INVALID', { path });
    const holder = this.#dialects.get(path);
    if (holder !== undefined) throw new MillraceError('MILLRACE_PATH_TAKEN', { path, holder });
    this.#dialects.set(path, dialect);
  }

  /** What a WebSocket to this path speaks; undefined: nothing is served there. */
  dialectOf(path: string): DialectName | undefined {
    return this.#dialects.get(path);
  }
}
