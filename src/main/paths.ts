/** Which path speaks what: those of the options, and those the application adds before the start. A path may answer POST beside its WebSocket, or instead. */
import { MillraceError } from '../errors.ts';
import type { DialectName } from '../options/names.ts';

export class Paths {
  readonly #dialects = new Map<string, DialectName>();
  readonly #posts = new Map<string, DialectName>();

  constructor(configured: Readonly<Record<string, string>>) {
    for (const [dialect, path] of Object.entries(configured)) {
      const posted = posts[dialect];
      if (posted !== undefined) this.#posts.set(path, posted);
      if (posted !== dialect) this.#dialects.set(path, dialect);
    }
  }

  /** @throws MILLRACE_PATH_INVALID, MILLRACE_PATH_TAKEN */
  claim(path: string, dialect: DialectName): void {
    if (typeof path !== 'string' || !/^\/[^?#\s]*$/.test(path))
      throw new MillraceError('MILLRACE_PATH_INVALID', { path });
    const holder = this.#dialects.get(path) ?? this.#posts.get(path);
    if (holder !== undefined) throw new MillraceError('MILLRACE_PATH_TAKEN', { path, holder });
    this.#dialects.set(path, dialect);
  }

  /** What a WebSocket to this path speaks; undefined: nothing is served there. */
  dialectOf(path: string): DialectName | undefined {
    return this.#dialects.get(path);
  }

  /** What a POST to this path speaks, as a session of one request. */
  postOf(path: string): DialectName | undefined {
    return this.#posts.get(path);
  }
}

/** By the option's name: the dialect of a POST to its path. */
const posts: Readonly<Record<string, DialectName | undefined>> = {
  responses: 'responses-http',
  completions: 'completions',
};
