/**
 * How an HTTP answer in pieces begins: status and headers in front of its first body bytes, in one frame with them, so that
 * they arrive together or not at all.
 *
 *     0        2            2 + n
 *     ├────────┼────────────┼──────────────┄
 *     │ n, u16 │ JSON       │ body bytes
 *     └────────┴────────────┴──────────────┄        {"status":200,"headers":{"content-type":"text/event-stream"}}
 */

export interface AnswerHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

const LENGTH_BYTES = 2;

/** The head alone, to be put in front of the first body bytes. */
export function encodeHead(head: AnswerHead): Uint8Array {
  const json = Buffer.from(JSON.stringify(head));
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + json.length);
  bytes.writeUInt16LE(json.length, 0);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}

/** Head and body in one. */
export function headed(head: AnswerHead, body: Uint8Array | string): Uint8Array {
  return Buffer.concat([encodeHead(head), typeof body === 'string' ? Buffer.from(body) : body]);
}

/** `bytes` are private (not shared memory): they are decoded here. `body` is a view of them. */
export function decodeHead(bytes: Buffer): { head: AnswerHead; body: Buffer } {
  const end = LENGTH_BYTES + bytes.readUInt16LE(0);
  const head = JSON.parse(bytes.toString('utf8', LENGTH_BYTES, end)) as AnswerHead;
  return { head, body: bytes.subarray(end) };
}
