/** Randomness of tests that can be had again: SEED=n repeats a run, and every run says its seed. */

/** `seed` is printed; `next()` is uniform in [0, 1) (mulberry32). */
export function seeded(name: string): { seed: number; next: () => number } {
  const said = process.env['SEED'];
  const seed = said === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(said);
  process.stdout.write(`# ${name}: SEED=${seed}\n`);
  let state = seed | 0;
  return {
    seed,
    next: () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}
