/**
 * Who stands behind proxies. Each proxy appends the peer it saw to a header, so the list is true from its right end as far as the hops are ours:
 * whatever stands left of the first stranger that stranger may have made up.
 */
import type { RequestHead } from './backend/backend.ts';
import { addressText } from './backend/handshake.ts';
import { isAddress } from './backend/trusted-peers.ts';

export type ForwardedHeader = 'x-forwarded-for' | 'forwarded';

/** A header of 16 KiB could name thousands. */
const HOPS_MAX = 64;

/** The address of the client: the peer's own, unless the peer is trusted and says otherwise. */
export function clientAddress(
  head: RequestHead,
  header: ForwardedHeader,
  trusts: (address: string) => boolean,
): string {
  let client = head.address;
  if (!trusts(client)) return client;
  const text = head.header(header);
  if (text === undefined) return client;
  const hops = header === 'forwarded' ? forwardedFor(text) : text.split(',');
  for (let at = hops.length - 1, seen = 0; at >= 0 && seen < HOPS_MAX; at--, seen++) {
    const address = addressOf(hops[at].trim());
    // A proxy that does not say whom it saw: nothing behind it is known.
    if (address === undefined) return client;
    client = address;
    if (!trusts(client)) return client;
  }
  return client;
}

/** `1.2.3.4`, `1.2.3.4:5`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:5`. */
function addressOf(node: string): string | undefined {
  const parts = /^\[([0-9a-f:.]+)\](?::\d{1,5})?$/i.exec(node) ?? /^([\d.]+):\d{1,5}$/.exec(node);
  const address = parts ? parts[1] : node;
  return isAddress(address) ? addressText(address) : undefined;
}

/** The `for` of each element, '' where it says none (RFC 7239 section 4). An element that is not well-formed says nothing. */
function forwardedFor(text: string): string[] {
  return splitOutsideQuotes(text, ',').map((element) => {
    const pairs = splitOutsideQuotes(element, ';').map((pair) => pair.trim());
    const said = pairs.filter((pair) => /^for=/i.test(pair)).map((pair) => pair.slice(4));
    if (said.length !== 1) return '';
    const quoted = /^"([^"\\]*)"$/.exec(said[0]);
    return quoted ? quoted[1] : said[0];
  });
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    if (quoted && text[at] === '\\') at++;
    else if (text[at] === '"') quoted = !quoted;
    else if (!quoted && text[at] === separator) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}
