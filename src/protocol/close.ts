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
  /** Whoever stands behind us failed. */
  gateway: 1014,
} as const;

/** May an endpoint put this code into a close frame for its peer (RFC 6455 section 7.4, the registry, and the private ranges)? */
export function maySend(code: number): boolean {
  if (code >= 3000) return code < 5000;
  return code === 1000 || code === 1001 || code === 1003 || (code >= 1007 && code <= 1014);
}

/**
 * A back end's code as its client gets it. A close frame without a code is an orderly end; one that speaks of a connection between the two
 * ends of that connection only (1002, 1010), or that was never sent (1006, 1015), means to the client that the back end failed.
 */
export function codeForClient(code: number): number {
  if (code === 1005) return close.normal;
  return maySend(code) && code !== 1010 ? code : close.gateway;
}

/** A client's code as its back end gets it; undefined: a close frame without one, as the client's. A client that is lost has gone away. */
export function codeForBackEnd(code: number): number | undefined {
  if (code === 1005) return undefined;
  return maySend(code) && code !== 1010 ? code : close.away;
}

/** Before a back end has said anything, these mean: ask another one. */
export function isAbnormal(code: number): boolean {
  return code === 1006 || code === 1011 || (code >= 1012 && code <= 1014);
}

/** A close reason has at most 123 bytes (RFC 6455 section 5.5). */
export function clipReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= 123) return reason;
  let end = 120;
  while ((bytes[end] & 0xc0) === 0x80) end--; // never inside a character
  return `${bytes.subarray(0, end).toString()}…`;
}
