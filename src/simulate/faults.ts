/**
 * What may go wrong at the simulated upstream, as a table: names, values, and what each does. Said per server (an option), per
 * request (the header `x-simulate`), or in the prompt (a line `@fault …`); the later of these wins, fault by fault.
 *
 *   x-simulate: reset-after=3
 *   @fault only=demo-2 status=429 retry-after=2
 */
import { MillraceError } from '../errors.ts';

type Kind = 'flag' | 'number' | 'text' | 'sizes';

/** Counts are content deltas ("tokens") already sent; 0 means after the headers and the opening chunk. */
const table = {
  // Before an answer.
  status: ['number', 'answers with this HTTP status and an error body instead of a stream'],
  'retry-after': ['text', 'Retry-After of that answer: seconds or an HTTP date'],
  'retry-after-ms': ['text', 'retry-after-ms of that answer'],
  html: ['flag', 'the error body is a web page, as proxies send it'],
  'content-type': ['text', 'content type of the 200 answer'],
  empty: ['flag', '200 and no body at all'],
  'reset-before-headers': ['flag', 'resets the connection instead of answering'],
  'end-before-headers': ['flag', 'closes the connection in good order instead of answering'],

  // Before a WebSocket. Those for an answer hold there too: a status is an `error` event, a body that ends too early a close frame; what only HTTP has, does nothing.
  'upgrade-status': ['number', 'refuses the WebSocket with this HTTP status'],
  'upgrade-reset': ['flag', 'resets the connection instead of the upgrade'],
  'upgrade-stall': ['flag', 'never answers the upgrade'],
  'close-code': ['number', 'code of the close frame where end-after ends a WebSocket'],

  // Time.
  'stall-headers': ['number', 'waits this many ms before the headers; 0 is for ever'],
  'stall-first': ['number', 'waits this many ms before the first token; 0 is for ever'],
  'stall-after': ['number', 'goes silent after n tokens, for stall-ms or for ever'],
  'stall-ms': ['number', 'how long stall-after is silent'],
  'finish-late': ['number', 'waits this many ms between the finish reason and what follows'],
  rate: ['number', 'tokens per second of this answer'],
  'first-token-ms': ['number', 'mean time to the first token of this answer'],

  // In the middle.
  'reset-after': ['number', 'resets the connection (RST) after n tokens'],
  'cut-after': ['number', 'closes the connection after n tokens, within the body'],
  'end-after': [
    'number',
    'ends the body in good order after n tokens: truncated, no finish reason, no [DONE]',
  ],
  'malformed-after': ['number', 'sends broken JSON after n tokens'],
  'error-after': ['number', 'sends an error object in the stream after n tokens, then [DONE]'],
  'error-code': ['text', 'code of that error object'],
  'oversize-after': ['number', 'sends one event of 2 MiB after n tokens'],
  'bad-utf8-after': ['number', 'sends bytes that are no UTF-8 in a string after n tokens'],

  // The end.
  'no-finish': ['flag', '[DONE] without a finish reason'],
  'no-done': ['flag', 'a finish reason, but no [DONE]'],
  'bare-done': ['flag', '[DONE] without a blank line after it'],
  'after-done': ['flag', 'more chunks after [DONE]'],
  'no-usage': ['flag', 'no usage chunk though it was asked for'],
  'usage-with-finish': ['flag', 'usage in the chunk of the finish reason'],
  close: ['flag', 'Connection: close'],

  // Framing: all of these are legal.
  framing: ['text', 'line ends: lf, crlf or cr'],
  comments: ['flag', 'comment lines between events'],
  'no-space': ['flag', 'no space after "data:"'],
  'multi-data': ['flag', 'every event spread over several data lines'],
  events: ['flag', 'event and id fields in front of data'],
  bom: ['flag', 'a byte order mark in front'],
  split: [
    'sizes',
    'the whole response (head, chunk sizes, body) in pieces of these sizes, one a tick',
  ],
  'null-role': ['flag', 'the opening chunk carries content null'],
  'no-role': ['flag', 'no opening chunk'],
  'reasoning-field': ['text', 'name of the reasoning field: reasoning_content or reasoning'],
  obfuscation: ['flag', 'padding strings in every chunk'],
  escapes: ['flag', 'everything outside ASCII as \\u escapes'],
  'null-fields': ['flag', 'unused delta fields are present and null'],

  // Whom it meets.
  only: ['text', 'the fault holds only at the simulated upstream of this name'],
} as const satisfies Record<string, readonly [Kind, string]>;

export type FaultName = keyof typeof table;

type ValueOf<K extends Kind> = K extends 'flag'
  ? true
  : K extends 'number'
    ? number
    : K extends 'sizes'
      ? readonly number[]
      : string;

export type Faults = { readonly [N in FaultName]?: ValueOf<(typeof table)[N][0]> };

export const faultNames = Object.keys(table) as FaultName[];

/** One sentence about a fault. */
export function describeFault(name: FaultName): string {
  return table[name][1];
}

/** `name`, `name=value`, several apart by blanks or semicolons. Throws MILLRACE_FIELD_INVALID for what it does not know. */
export function parseFaults(text: string): Faults {
  const faults: Record<string, unknown> = {};
  for (const word of text.split(/[\s;]+/).filter(Boolean)) {
    const [name = '', ...rest] = word.split('=');
    faults[name] = valueOf(name, rest.join('='), word.includes('='));
  }
  const parsed = faults as Faults;
  const { framing } = parsed;
  if (framing !== undefined && !['lf', 'crlf', 'cr'].includes(framing))
    throw wrong('framing', 'lf, crlf or cr', framing);
  return parsed;
}

function valueOf(name: string, text: string, given: boolean): unknown {
  if (!Object.hasOwn(table, name)) throw wrong('fault', `one of ${faultNames.join(', ')}`, name);
  const kind: Kind = table[name as FaultName][0];
  switch (kind) {
    case 'flag':
      if (given) throw wrong(name, 'no value', text);
      return true;
    case 'number':
      return numberOf(name, text);
    case 'sizes':
      return text.split(',').map((size) => {
        const bytes = numberOf(name, size);
        if (!Number.isInteger(bytes) || bytes < 1) throw wrong(name, 'whole sizes from 1', size);
        return bytes;
      });
    case 'text':
      if (text === '') throw wrong(name, 'a value', 'none');
      return text;
    default:
      return kind satisfies never;
  }
}

function numberOf(name: string, text: string): number {
  const value = text === '' ? Number.NaN : Number(text);
  if (!(value >= 0 && value < 2 ** 31)) throw wrong(name, 'a number from 0', text || 'none');
  return value;
}

function wrong(path: string, expected: string, got: string): MillraceError {
  return new MillraceError('MILLRACE_FIELD_INVALID', { path, expected, got: got.slice(0, 100) });
}

/** Later ones win, fault by fault; those for other servers fall out. */
export function mergeFaults(server: string, ...layers: readonly (Faults | undefined)[]): Faults {
  const meant = layers.filter((layer) => layer && (layer.only ?? server) === server);
  return Object.assign({}, ...meant) as Faults;
}
