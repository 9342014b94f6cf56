/** What the options serve where: the dialects of millrace, those of the user, and the user's routes. */
import type { Options } from '../options/schema.ts';
import { Paths } from './paths.ts';

export function servedPaths(options: Pick<Options, 'paths' | 'routes' | 'dialects'>): Paths {
  const paths = new Paths(options.paths);
  for (const [name, { path }] of Object.entries(options.dialects)) paths.claim(path, name);
  for (const { path } of options.routes) paths.claim(path, 'route');
  return paths;
}
