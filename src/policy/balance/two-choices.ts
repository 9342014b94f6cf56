/**
 * Two different positions below `n` (at least 2) out of one uniform number: its first digits in base n choose the first, what is left of it
 * the second. With n up to 2^16 more than 20 of its 53 bits remain for the second.
 */
export function firstChoice(n: number, chance: number): number {
  return (chance * n) | 0;
}

export function secondChoice(n: number, chance: number): number {
  const scaled = chance * n;
  const first = scaled | 0;
  const other = ((scaled - first) * (n - 1)) | 0;
  return other >= first ? other + 1 : other;
}
