import { loadAddon, type NativeAddon } from '../../../src/codec/native-addon.ts';

const loaded = loadAddon();

/** For the `skip` of tests that need the addon: why it is not here, or false. */
export const noAddon: string | false = typeof loaded === 'string' ? loaded : false;

export function addon(): NativeAddon {
  if (typeof loaded === 'string') throw new Error(loaded);
  return loaded;
}
