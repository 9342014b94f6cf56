/** What the options serve where: the dialects of millrace, those of the user, and the user's routes. */
import { SOCKET_PROVIDER } from '../options/names.ts';
import type { Options } from '../options/schema.ts';
import { Paths } from './paths.ts';

export function servedPaths(
  options: Pick<Options, 'paths' | 'routes' | 'dialects' | 'upstreams'>,
): Paths {
  const { proxy, ...always } = options.paths;
  const proxies = options.upstreams.some(({ provider }) => provider === SOCKET_PROVIDER);
  const paths = new Paths(proxies ? { ...always, proxy } : always);
  for (const [name, { path }] of Object.entries(options.dialects)) paths.claim(path, name);
  for (const { path } of options.routes) paths.claim(path, 'route');
  return paths;
}
