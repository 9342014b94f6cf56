/** What a client that connects wants its messages encoded with, and what it gets. */
import {
  type Agreement,
  ENCODING_HEADER,
  type EncodingName,
  negotiate,
} from '../codec/negotiate.ts';
import type { DialectName } from '../options/names.ts';
import type { Options } from '../options/schema.ts';
import type { RequestHead } from './backend/backend.ts';
import type { Admission } from './session.ts';

/** What there is for whom. */
export interface Encodings {
  /** A source on this machine serves it. */
  readonly served: (encoding: EncodingName) => boolean;
  /** The dialect's messages are text, and a worker makes them. */
  readonly isText: (dialect: DialectName) => boolean;
}

/** For engines without codecs: every wish is refused. */
export const noEncodings: Encodings = { served: () => false, isText: () => true };

/** Undefined: it wants nothing. */
export function agreeOn(
  head: RequestHead,
  offered: readonly string[],
  dialect: DialectName,
  { compression }: Pick<Options, 'compression'>,
  { served, isText }: Encodings,
): Agreement | undefined {
  const text = head.method === 'GET' && isText(dialect);
  return negotiate(head.query, offered, {
    isOn: compression.enabled,
    served,
    dialect,
    isText: text,
  });
}

/** What a session keeps of it, and what its client is told. */
export function settledAs(agreement: Agreement | undefined): {
  readonly facts: Pick<Admission, 'encoding' | 'dictionary'>;
  readonly answer: { readonly headers?: Readonly<Record<string, string>> };
} {
  if (!agreement) return { facts: {}, answer: {} };
  const { encoding, dictionary, told } = agreement;
  return {
    facts: { ...(encoding && { encoding }), ...(dictionary && { dictionary }) },
    answer: { headers: { [ENCODING_HEADER]: told } },
  };
}
