/** What `doctor` says about codecs: who serves which, and why the others do not. */
import { explainChoices } from './choice.ts';
import type { SourceName } from './codec.ts';
import { loadSource, sourceNames } from './sources.ts';

export interface CodecProbe {
  /** For each codec the source, or the sources by size of the message: the fastest by measurement. */
  readonly served: readonly { readonly codec: string; readonly by: string | undefined }[];
  readonly sources: readonly {
    readonly name: SourceName;
    /** Or why it is not here. */
    readonly version?: string;
    readonly reason?: string;
  }[];
}

export function probeCodecs(): CodecProbe {
  return {
    served: explainChoices(),
    sources: sourceNames.map((name) => {
      const { source, reason } = loadSource(name);
      return source ? { name, version: source.version } : { name, reason };
    }),
  };
}
