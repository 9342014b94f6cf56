/** The user's modules, as a worker loads them at its start. */
import type { Options } from '../options/schema.ts';
import type { RouteHandler } from '../protocol/route.ts';
import { loadModule, unusable } from '../threads/load-module.ts';

export interface Modules {
  /** Handlers by the path of their route. */
  readonly routes: ReadonlyMap<string, RouteHandler>;
}

export const noModules: Modules = { routes: new Map() };

/** @throws MILLRACE_MODULE_UNUSABLE for the first that is missing, broken, or not what it should be. */
export async function loadModules(options: Options): Promise<Modules> {
  const routes = new Map<string, RouteHandler>();
  for (const { path, module } of options.routes) {
    const handler = await loadModule('route', module);
    if (typeof handler !== 'function') {
      throw unusable('route', module, 'its default export must be an async generator function');
    }
    routes.set(path, handler as RouteHandler);
  }
  return { routes };
}
