/**
 * Modules of ours as built, under the tracked typed arrays of `tracked.ts`, and with a fault put in on purpose: a search that
 * does not find the fault proves nothing.
 */
import { readFileSync } from 'node:fs';

export interface Fault {
  readonly from: string;
  readonly to: string;
}

/**
 * Loads the built module `path` (from the root of the build, `src/memory/ring.js`), with its fault if one is given.
 * Fails when the text to replace is not there exactly once.
 */
export async function tracked<Module>(path: string, fault?: Fault): Promise<Module> {
  const url = new URL(`../../${path}`, import.meta.url);
  let text = readFileSync(url, 'utf8').replace(/\/\/# sourceMappingURL.*$/m, '');
  if (fault) {
    const pieces = text.split(fault.from);
    if (pieces.length !== 2)
      throw new Error(`${pieces.length - 1} times in ${path}: ${fault.from}`);
    text = pieces.join(fault.to);
  }
  const absolute = text.replaceAll(
    /from (['"])(\.[^'"]+)\1/g,
    (_, __, to: string) => `from '${new URL(to, url).href}'`,
  );
  const arrays = new URL('tracked.js', import.meta.url).href;
  const head = `import { TrackedInt32Array as Int32Array, TrackedUint8Array as Uint8Array } from '${arrays}';\n`;
  return (await import(`data:text/javascript,${encodeURIComponent(head + absolute)}`)) as Module;
}
