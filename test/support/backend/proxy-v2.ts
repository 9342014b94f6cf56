/** A PROXY header of version 2, right or wrong. */

export interface ProxyV2 {
  /** 0x21: PROXY, 0x20: LOCAL. */
  readonly command?: number;
  /** Absent: that of the source. */
  readonly family?: number;
  readonly source?: string;
  /** Instead of addresses. */
  readonly body?: Buffer;
  readonly tlv?: Buffer;
}

export function proxyV2({ command = 0x21, source, tlv, ...given }: ProxyV2): Buffer {
  const addresses = source === undefined ? Buffer.alloc(0) : block(source);
  const body = Buffer.concat([given.body ?? addresses, tlv ?? Buffer.alloc(0)]);
  const family = given.family ?? (addresses.length === 36 ? 0x21 : 0x11);
  const head = Buffer.from([13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, command, family, 0, 0]);
  head.writeUInt16BE(body.length, 14);
  return Buffer.concat([head, body]);
}

/** Source, a destination, both ports. */
function block(source: string): Buffer {
  if (!source.includes(':'))
    return Buffer.from([...source.split('.').map(Number), 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb]);
  const groups = new URL(`http://[${source}]/`).hostname.slice(1, -1).split('::');
  const [left, right] = [groups[0], groups[1] ?? ''].map((part) =>
    part === '' ? [] : part.split(':'),
  );
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const bytes = Buffer.alloc(36);
  for (const [at, group] of [...left, ...zeros, ...right].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * at);
  bytes.writeUInt16BE(443, 34);
  return bytes;
}
