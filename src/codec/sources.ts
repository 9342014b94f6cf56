/** The sources that there may be, each loaded once per thread, at its first use. */
import type { LoadedSource, SourceName } from './codec.ts';
import { loadNodeZlib } from './node-zlib.ts';

const loaders: readonly { readonly name: SourceName; readonly load: () => LoadedSource }[] = [
  { name: 'node-zlib', load: loadNodeZlib },
];

export const sourceNames = loaders.map(({ name }) => name);

const loaded = new Map<SourceName, LoadedSource>();

/** The source, or why it is not here. */
export function loadSource(name: SourceName): LoadedSource {
  const known = loaded.get(name);
  if (known) return known;
  const load = loaders.find((each) => each.name === name)?.load;
  const found = load?.() ?? { reason: 'this build has no such source' };
  loaded.set(name, found);
  return found;
}
