/** What runs on the jobs pool. Each export is one job; arguments and results are copied between threads. */

/** A very large client message, as JSON. Throws a SyntaxError like JSON.parse. */
export function parse(bytes: Uint8Array): unknown {
  const { buffer, byteOffset, byteLength } = bytes;
  return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString());
}
