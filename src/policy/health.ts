/** Whether probes say that an upstream is well: it takes several in a row to change the verdict, so that one lost packet does not. */

export const Health = { failed: 0, good: 1, unknown: 2 } as const;

export interface HealthRules {
  /** Failed probes in a row that take an upstream out. */
  readonly fall: number;
  /** Good ones in a row that bring it back. */
  readonly rise: number;
}

/**
 * A verdict is one of `Health`. An unknown upstream is good after its first good probe; a failed one needs `rise` of them.
 */
export class ProbeVerdict {
  #rules: HealthRules;
  #health: number;
  /** Probes in a row that speak against the verdict. */
  #against = 0;

  constructor(rules: HealthRules, health: number = Health.unknown) {
    this.#rules = rules;
    this.#health = health;
  }

  get health(): number {
    return this.#health;
  }

  /** Changed rules, from the next probe on. */
  follow(rules: HealthRules): void {
    this.#rules = rules;
  }

  /** True when the verdict changed. */
  probed(good: boolean): boolean {
    const wanted = good ? Health.good : Health.failed;
    if (wanted === this.#health) {
      this.#against = 0;
      return false;
    }
    if (this.#health === Health.unknown && good) return this.#become(wanted);
    this.#against += 1;
    const needed = good ? this.#rules.rise : this.#rules.fall;
    return this.#against >= needed && this.#become(wanted);
  }

  #become(health: number): boolean {
    this.#health = health;
    this.#against = 0;
    return true;
  }
}
