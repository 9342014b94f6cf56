/** What a worker compresses and inflates with, and who gets it: sessions whose clients asked for an encoding. */
import type { Options } from '../options/schema.ts';
import type { SessionFacts } from '../threads/messages.ts';
import { Compress, type Packer } from './compress.ts';
import { createInflater, type Inflater } from './inflate.ts';
import type { JobName } from './jobs.ts';
import type { Tally } from './tally.ts';

export interface CodecParts {
  readonly options: () => Options;
  readonly tally: Tally;
  /** Runs one of jobs.ts elsewhere. */
  readonly job: (name: JobName, argument: unknown) => Promise<unknown>;
  /** This thread enters or leaves a call during which it must not be terminated. */
  readonly inCodec: (inside: boolean) => void;
  readonly fault: (thrown: unknown) => void;
}

export class Codec {
  readonly #parts: CodecParts;
  /** Made for the first session that needs it: it has memory of its own. */
  #compress: Compress | undefined;

  constructor(parts: CodecParts) {
    this.#parts = parts;
  }

  session({ encoding, dictionary }: SessionFacts): { packer?: Packer; inflater?: Inflater } {
    if (encoding === undefined) return {};
    this.#compress ??= new Compress(this.#parts);
    return {
      packer: this.#compress.packer(encoding, dictionary),
      inflater: createInflater(this.#parts, encoding, dictionary),
    };
  }
}
