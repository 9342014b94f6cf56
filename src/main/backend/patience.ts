/** How long and how much both backends bear with a peer that does not read. */

/** How long a close frame may wait behind unread bytes, and the peer's answer after it (the core of uWebSockets.js allows about as much). */
export const CLOSE_WAIT_MS = 4_000;
/** Pongs that may wait behind unread bytes; the next ping ends the session. */
export const PONGS_WAITING_MAX = 1_000;
/** How long after that many came the ws backend looks whether they still wait. */
export const PONGS_WAIT_MS = 50;
