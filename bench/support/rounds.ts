/** Interleaved rounds: A B C, C B A, A B C … so that drift of the machine falls on all alike. */

/** Runs `measure` for every variant in every round. Returns the readings by variant, in round order. */
export async function interleave<V extends { readonly name: string }, R>(
  variants: readonly V[],
  rounds: number,
  measure: (variant: V, round: number) => Promise<R>,
): Promise<Map<string, R[]>> {
  const readings = new Map<string, R[]>(variants.map((variant) => [variant.name, []]));
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? variants : variants.toReversed();
    for (const variant of order) {
      readings.get(variant.name)?.push(await measure(variant, round));
    }
  }
  return readings;
}
