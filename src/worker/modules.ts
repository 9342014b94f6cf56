/** The user's modules, as a worker loads them at its start. */
import type { Options } from '../options/schema.ts';
import type { Dialect } from '../protocol/dialect.ts';
import { type Hooks, hookNames } from '../protocol/hooks.ts';
import type { Provider } from '../protocol/provider.ts';
import type { RouteHandler } from '../protocol/route.ts';
import { loadModule, unusable } from '../threads/load-module.ts';
import { loadDialects, loadProviders } from '../threads/user-protocols.ts';

export interface Modules {
  /** Handlers by the path of their route. */
  readonly routes: ReadonlyMap<string, RouteHandler>;
  readonly hooks?: Hooks;
  readonly providers: Readonly<Record<string, Provider>>;
  readonly dialects: Readonly<Record<string, Dialect>>;
}

export const noModules: Modules = { routes: new Map(), providers: {}, dialects: {} };

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
  const providers = await loadProviders(options);
  const dialects = await loadDialects(options);
  return { routes, providers, dialects, ...(await loadHooks(options)) };
}

async function loadHooks({ hooks: { module } }: Options): Promise<Pick<Modules, 'hooks'>> {
  if (module === undefined) return {};
  const hooks = (await loadModule('hooks', module)) as Record<string, unknown> | null;
  if (typeof hooks !== 'object' || hooks === null) {
    throw unusable('hooks', module, `its default export must be an object of ${some}`);
  }
  const strange = [...Object.keys(hooks).filter((name) => /^on[A-Z]/.test(name)), ...known].find(
    (name) => hooks[name] !== undefined && !(known.includes(name) && isFunction(hooks[name])),
  );
  if (strange !== undefined || !known.some((name) => isFunction(hooks[name]))) {
    const reason = `it holds ${strange ?? 'none'}; hooks are functions named ${some}`;
    throw unusable('hooks', module, reason);
  }
  return { hooks };
}

const isFunction = (value: unknown) => typeof value === 'function';
const known: readonly string[] = hookNames;
const some = hookNames.join(', ');
