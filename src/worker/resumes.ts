/** The resumes of one attempt: how often it may ask its upstream for the rest, and when. */
import type { MillraceError } from '../errors.ts';
import { fullJitterMs } from '../policy/backoff.ts';
import type { Random } from '../policy/ports.ts';
import type { Provider, ProviderRequest } from '../protocol/provider.ts';
import type { Resumption } from '../protocol/resumption.ts';
import type { Upstream } from './route.ts';

/** How an answer of this upstream goes on when it breaks off; undefined: it does not. */
export function resumptionOf(
  { options }: Upstream,
  provider: Provider,
  request: ProviderRequest,
  random: Random,
  eventBytesMax: number,
): Resumption | undefined {
  const resume = provider.resume?.[options.resume];
  if (!resume) return undefined;
  const nonce = Buffer.alloc(16);
  random.fill(nonce);
  return resume(request, nonce.toString('hex'), eventBytesMax);
}

export interface ResumeRules {
  readonly resumesMax: number;
  readonly retryDelayMs: number;
}

export class Resumes {
  readonly resumption: Resumption;
  readonly #rules: ResumeRules;
  #made = 0;
  /** Asked in a row without an answer. */
  #inVain = 0;
  #isFresh = true;
  /** How the answer broke off first, since bytes came last. */
  #cause: MillraceError | undefined;

  constructor(resumption: Resumption, rules: ResumeRules) {
    this.resumption = resumption;
    this.#rules = rules;
  }

  get made(): number {
    return this.#made;
  }

  get cause(): MillraceError | undefined {
    return this.#cause;
  }

  take(bytes: Uint8Array): Uint8Array {
    if (bytes.byteLength === 0) return bytes;
    this.#inVain = 0;
    this.#isFresh = true;
    this.#cause = undefined;
    return this.resumption.take(bytes);
  }

  /** What to ask after a cut, and how long to wait before; `cause` undefined: the body ended in good order. */
  next(
    cause: MillraceError | undefined,
    chance: number,
  ): { readonly request: ProviderRequest; readonly waitMs: number } | undefined {
    // A resumed body that ends at once: there is no more, the upstream says so itself.
    if (cause === undefined && !this.#isFresh) return undefined;
    this.#cause ??= cause;
    if (this.#made >= this.#rules.resumesMax) return undefined;
    const request = this.resumption.again();
    if (!request) return undefined;
    const waitMs =
      this.#inVain === 0 ? 0 : fullJitterMs(this.#rules.retryDelayMs, this.#inVain - 1, chance);
    this.#made += 1;
    this.#inVain += 1;
    this.#isFresh = false;
    return { request, waitMs };
  }
}
