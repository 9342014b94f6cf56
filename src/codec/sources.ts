/** The sources that there may be, each loaded once per thread, at its first use. */
import type { LoadedSource, SourceName } from './codec.ts';
import { loadNative } from './native.ts';
import { loadNodeZlib } from './node-zlib.ts';
import { loadNodeZstd } from './node-zstd.ts';
import { loadZstdNapi } from './zstd-napi.ts';

const loaders: readonly { readonly name: SourceName; readonly load: () => LoadedSource }[] = [
  { name: 'native', load: loadNative },
  { name: 'zstd-napi', load: loadZstdNapi },
  { name: 'node-zlib', load: loadNodeZlib },
  { name: 'node-zstd', load: loadNodeZstd },
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
