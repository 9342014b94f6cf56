/** How often a property is tried: more with SLOW=1, and from the same start with SEED=n (a failure prints its seed). */
export function runs(usual: number, slow: number): { numRuns: number; seed?: number } {
  const seed = process.env['SEED'];
  const numRuns = process.env['SLOW'] ? slow : usual;
  return seed === undefined ? { numRuns } : { numRuns, seed: Number(seed) };
}
