/** Close codes we send (RFC 6455 section 7.4.1 and IANA's registry) and what they ask of a client. */
export const close = {
  /** Done; nothing to do. */
  normal: 1000,
  /** Going away: reconnect when wanted. */
  away: 1001,
  /** This path takes text only. */
  unsupported: 1003,
  /** Text that was not UTF-8. */
  invalidText: 1007,
  policy: 1008,
  tooLarge: 1009,
  internal: 1011,
  /** The service restarts: reconnect after a jittered wait. */
  restart: 1012,
  /** Overloaded or the client is too slow: reconnect later. */
  later: 1013,
} as const;

/** A close reason has at most 123 bytes (RFC 6455 section 5.5). */
export function clipReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= 123) return reason;
  let end = 120;
  while ((bytes[end] & 0xc0) === 0x80) end--; // never inside a character
  return `${bytes.subarray(0, end).toString()}…`;
}
