/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): what a proxy writes in front of a connection to say whose it is. Pure:
 * looks at the bytes so far and says what they are. Strict: whatever is not exactly a header is none.
 */
import { isIP } from 'node:net';
import { addressText } from './handshake.ts';

export type ProxyHeader =
  /** It may become one. */
  | { readonly kind: 'more' }
  /** It is something else: the client's own first bytes. */
  | { readonly kind: 'none' }
  | { readonly kind: 'invalid'; readonly reason: string }
  /** `bytes`: its length. `source`: the client; absent: the proxy speaks for itself (a health check), or does not know. */
  | { readonly kind: 'header'; readonly bytes: number; readonly source?: string };

/** Section 2.1: the longest line of version 1, with its end. */
export const V1_BYTES_MAX = 107;
/** Of version 2, after the fixed part. The protocol would allow 65,535; real ones with all of a client's certificate stay below. */
export const V2_BYTES_MAX = 4_096;

const V1_START = Buffer.from('PROXY ');
const V2_START = Buffer.from([13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]);
const V2_FIXED_BYTES = 16;

const more: ProxyHeader = { kind: 'more' };
const none: ProxyHeader = { kind: 'none' };

export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (begins(bytes, V1_START)) return bytes.length < V1_START.length ? more : version1(bytes);
  if (begins(bytes, V2_START)) return bytes.length < V2_FIXED_BYTES ? more : version2(bytes);
  return none;
}

/** As far as both go. */
function begins(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.subarray(0, length).equals(start.subarray(0, length));
}

function version1(bytes: Buffer): ProxyHeader {
  const end = bytes.indexOf(13, V1_START.length);
  const line = bytes.subarray(0, end < 0 ? bytes.length : end);
  if (line.some((byte) => byte < 0x20 || byte > 0x7e)) return invalid('its line is no text');
  if (end < 0 || end + 1 >= bytes.length)
    return bytes.length < V1_BYTES_MAX ? more : invalid('its line is too long');
  if (end + 2 > V1_BYTES_MAX) return invalid('its line is too long');
  if (bytes[end + 1] !== 10) return invalid('its line does not end with CR LF');
  const words = line.toString('latin1').split(' ');
  const header = { kind: 'header', bytes: end + 2 } as const;
  if (words[1] === 'UNKNOWN') return header;
  const version = words[1] === 'TCP4' ? 4 : words[1] === 'TCP6' ? 6 : 0;
  if (version === 0) return invalid('its protocol is unknown');
  const [, , source, destination, ...ports] = words;
  if (isIP(source) !== version || isIP(destination) !== version || source.includes('%'))
    return invalid('its addresses are none of its protocol');
  if (ports.length !== 2 || !ports.every(isPort)) return invalid('its ports are none');
  return { ...header, source: addressText(source) };
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

/** Bytes of both addresses and ports, by address family and transport; datagrams cannot arrive here. */
const blockBytes: Readonly<Record<number, number | undefined>> = {
  0x00: 0,
  0x11: 12,
  0x21: 36,
  0x31: 216,
};

function version2(bytes: Buffer): ProxyHeader {
  const command = bytes[12];
  if (command >> 4 !== 2) return invalid('its version is unknown');
  if ((command & 15) > 1) return invalid('its command is unknown');
  const length = bytes.readUInt16BE(14);
  if (length > V2_BYTES_MAX) return invalid('it is too long');
  const family = bytes[13];
  const block = blockBytes[family];
  const isLocal = (command & 15) === 0;
  if (!isLocal && block === undefined) return invalid('its address family is unknown');
  if (!isLocal && length < (block ?? 0)) return invalid('its addresses are cut off');
  const total = V2_FIXED_BYTES + length;
  if (bytes.length < total) return more;
  const header = { kind: 'header', bytes: total } as const;
  // The proxy speaks for itself: whatever it says about addresses is to be skipped.
  if (isLocal || family === 0) return header;
  const body = bytes.subarray(V2_FIXED_BYTES, total);
  if (!wholeTlvs(body.subarray(block))) return invalid('its additions are cut off');
  if (family === 0x11) return { ...header, source: [...body.subarray(0, 4)].join('.') };
  if (family === 0x21) return { ...header, source: ipv6(body) };
  return header;
}

/** Additions are skipped, one by one: type, length, value. */
function wholeTlvs(bytes: Buffer): boolean {
  let at = 0;
  while (at + 3 <= bytes.length) at += 3 + bytes.readUInt16BE(at + 1);
  return at === bytes.length;
}

function ipv6(body: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, n) => body.readUInt16BE(2 * n).toString(16));
  return addressText(groups.join(':'));
}

function invalid(reason: string): ProxyHeader {
  return { kind: 'invalid', reason };
}
