/**
 * How many of the upstreams of one model may be out at once. Circuits see one upstream each; these rules see them together, and keep a common cause
 * (a bad model name, a broken network of ours) from taking everything out.
 */

export interface EjectionRules {
  /** Largest share that may be out; one may always be, unless it is the last. */
  readonly ejectedShareMax: number;
  /** Below this share of usable ones circuits are ignored: they say more about us than about the upstreams. */
  readonly panicShare: number;
}

/** May one more of `serving` upstreams be taken out, of which `out` are? Never the last one. */
export function mayEject(rules: EjectionRules, serving: number, out: number): boolean {
  if (out + 1 >= serving) return false;
  return out + 1 <= Math.max(1, Math.floor(rules.ejectedShareMax * serving));
}

/** So few are left that circuits no longer count. */
export function isPanic(rules: EjectionRules, serving: number, usable: number): boolean {
  return usable < rules.panicShare * serving;
}
