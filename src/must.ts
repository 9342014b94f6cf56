/** A broken promise between two pieces of our own code: never a user's or a peer's mistake. */
export class Bug extends Error {
  override readonly name = 'Bug';
}

/**
 * States what must hold. A failure is a bug of ours: the thread dies, main answers its open
 * requests and starts another. Bad input never ends here; it gets a `MillraceError`.
 */
export function must(condition: unknown, text: string): asserts condition {
  if (!condition) throw new Bug(text);
}
