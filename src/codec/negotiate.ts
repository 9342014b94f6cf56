/**
 * How a client and the gateway agree on how their messages are encoded. Pure: all that main knows of codecs.
 *
 *   ws://…/v1/responses?encoding=zstd+dict,gzip         what the client would like, best first
 *   Sec-WebSocket-Protocol: millrace.encoding.zstd+dict the same for browsers, one name per wish
 *
 * From then on, in both directions: a text message is as it is; a binary message is one text message, compressed. `zstd+dict` may name
 * the dictionary it knows: `zstd+dict.92b50422f1c41440`. What is refused falls back to `identity`, with a reason.
 */
import { dictionaryFor } from './dictionary-table.ts';

export const encodingNames = ['zstd+dict', 'zstd', 'brotli', 'gzip', 'deflate'] as const;
export type EncodingName = (typeof encodingNames)[number];

/** `unknown`: no encoding has that name. `off`: the options grant none. `dialect`: its messages are no text, or nobody's here. */
export const refusalReasons = ['unknown', 'off', 'dialect', 'source', 'dictionary'] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** Subprotocols that begin so are wishes. */
export const ENCODING_PROTOCOL = 'millrace.encoding.';
/** Tells a client what came of its wishes. */
export const ENCODING_HEADER = 'Millrace-Encoding';
/** Wishes looked at. */
const WISHES_MAX = 8;

export interface EncodingTerms {
  /** Of the options. */
  readonly isOn: boolean;
  /** A source on this machine serves it. */
  served(encoding: EncodingName): boolean;
  readonly dialect: string;
  /** Its messages are text, and a worker makes them. */
  readonly isText: boolean;
}

export interface Agreement {
  /** Absent: identity. */
  readonly encoding?: EncodingName;
  /** Hash of the dictionary, with `zstd+dict`. */
  readonly dictionary?: string;
  /** The wish it grants, if it was a subprotocol: to be answered exactly so. */
  readonly protocol?: string;
  /** Why the first wish was not granted. */
  readonly reason?: RefusalReason;
  /** Value of the header. */
  readonly told: string;
}

interface Wish {
  readonly text: string;
  readonly protocol?: string;
}

/** Undefined: the client said nothing about it. */
export function negotiate(
  query: string,
  protocols: readonly string[],
  terms: EncodingTerms,
): Agreement | undefined {
  const wishes = wishesOf(query, protocols);
  if (wishes.length === 0) return undefined;
  let reason: RefusalReason | undefined;
  for (const { text, protocol } of wishes) {
    const agreed = text === 'identity' ? { told: 'identity' } : grant(text, terms);
    if (typeof agreed === 'string') {
      reason ??= agreed;
      continue;
    }
    return {
      ...agreed,
      told: reason === undefined ? agreed.told : `${agreed.told}; refused=${reason}`,
      ...(protocol === undefined ? {} : { protocol }),
      ...(reason === undefined ? {} : { reason }),
    };
  }
  return { told: `identity; refused=${reason}`, ...(reason === undefined ? {} : { reason }) };
}

function wishesOf(query: string, protocols: readonly string[]): Wish[] {
  const asked = query.includes('encoding=') ? new URLSearchParams(query).getAll('encoding') : [];
  // In a query a plus is a blank.
  const listed = asked.join(',').replaceAll(' ', '+').split(',');
  const wishes: Wish[] = listed.filter((text) => text !== '').map((text) => ({ text }));
  for (const protocol of protocols) {
    if (!protocol.startsWith(ENCODING_PROTOCOL)) continue;
    wishes.push({ text: protocol.slice(ENCODING_PROTOCOL.length), protocol });
  }
  return wishes.slice(0, WISHES_MAX);
}

function grant(text: string, terms: EncodingTerms): Omit<Agreement, 'protocol'> | RefusalReason {
  const [name, hash] = text.split('.', 2);
  const encoding = encodingNames.find((each) => each === name);
  if (!encoding || (hash !== undefined && encoding !== 'zstd+dict')) return 'unknown';
  if (!terms.isOn) return 'off';
  if (!terms.isText) return 'dialect';
  if (!terms.served(encoding)) return 'source';
  if (encoding !== 'zstd+dict') return { encoding, told: encoding };
  const row = dictionaryFor(terms.dialect, hash);
  if (!row) return 'dictionary';
  return { encoding, dictionary: row.hash, told: `${encoding}; dictionary=${row.hash}` };
}
