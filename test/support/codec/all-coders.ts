import type { CodecName, Coder, SourceName } from '../../../src/codec/codec.ts';
import { codecNames } from '../../../src/codec/codec.ts';
import { loadSource, sourceNames } from '../../../src/codec/sources.ts';

export interface NamedCoder {
  readonly name: string;
  readonly source: SourceName;
  readonly codec: CodecName;
  readonly coder: Coder;
}

/** Every coder of every source that is here; the others are printed with their reason. */
export function allCoders(): readonly NamedCoder[] {
  return sourceNames.flatMap((source) => {
    const loaded = loadSource(source);
    if (!loaded.source) {
      process.stdout.write(`# no ${source} here: ${loaded.reason}\n`);
      return [];
    }
    const { coders } = loaded.source;
    return codecNames.flatMap((codec) => {
      const coder = coders[codec];
      return coder ? [{ name: `${codec} of ${source}`, source, codec, coder }] : [];
    });
  });
}
