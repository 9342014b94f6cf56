/**
 * Opens circuits whose answers fail too often. Failures in a row are the workers' own business; what only shows over all workers and a window of time, is seen here.
 * The same rules hold: a cap on how many are out at once, and never the last one.
 */
import type { CircuitCell, UpstreamTable } from '../memory/contract.ts';
import { CIRCUITS_PER_UPSTREAM, UpstreamWord } from '../memory/layout.ts';
import { SOCKET_PROVIDER } from '../options/names.ts';
import type { Options } from '../options/schema.ts';
import { Circuit, circuitState, trip } from '../policy/circuit.ts';
import { mayEject } from '../policy/ejection.ts';
import { Health } from '../policy/health.ts';
import type { Clock, Random } from '../policy/ports.ts';
import { SuccessRate } from '../policy/success-rate.ts';
import type { Seat } from '../policy/upstream-roster.ts';
import type { Fact } from '../threads/facts.ts';

/** What a circuit of models without a name of their own is called. */
const ANY_MODEL = '*';

export interface RatesParts {
  readonly table: UpstreamTable;
  readonly clock: Clock;
  readonly random: Random;
  publish(fact: Fact): void;
}

/** One circuit. */
interface Offer {
  readonly seat: Seat;
  readonly upstream: string;
  readonly model: string;
  readonly cell: CircuitCell;
  readonly rate: SuccessRate;
  /** Who serves the same model, itself among them. */
  readonly serving: Offer[];
}

export class Rates {
  readonly #parts: RatesParts;
  #balance: Options['balance'] | undefined;
  #offers = new Map<string, Offer>();

  constructor(parts: RatesParts) {
    this.#parts = parts;
  }

  /** Whom to look at from now on; who stays keeps its window. */
  configure({ balance, upstreams }: Options, seats: readonly Seat[]): void {
    this.#balance = balance;
    const former = this.#offers;
    this.#offers = new Map();
    const byModel = new Map<string, Offer[]>();
    for (const [at, { name, provider, models }] of upstreams.entries()) {
      const isSocket = provider === SOCKET_PROVIDER;
      const count = models.length === 0 ? CIRCUITS_PER_UPSTREAM : models.length;
      for (let number = 0; number < Math.min(count, CIRCUITS_PER_UPSTREAM); number++) {
        const model = models[number] ?? ANY_MODEL;
        const key = JSON.stringify([isSocket, model, models.length === 0 && number]);
        const serving = byModel.get(key) ?? [];
        byModel.set(key, serving);
        const seat = seats[at];
        const id = `${seat.row} ${seat.since} ${number} ${model}`;
        const cell = this.#parts.table.circuit(seat.row, number);
        const rate = former.get(id)?.rate ?? new SuccessRate();
        const offer = { seat, upstream: name, model, cell, rate, serving };
        serving.push(offer);
        this.#offers.set(id, offer);
      }
    }
  }

  /** Looks at every circuit once. True: failures come in, look again soon. */
  look(): boolean {
    const { clock } = this.#parts;
    const balance = this.#balance;
    if (!balance?.enableCircuitBreaker || balance.circuitBreakerSuccessShare === 0) return false;
    const rules = {
      successShareMin: balance.circuitBreakerSuccessShare,
      volumeMin: balance.circuitBreakerVolume,
      windowMs: balance.circuitBreakerWindowMs,
    };
    const nowMs = clock.now();
    let busy = false;
    for (const offer of this.#offers.values()) {
      const share = offer.rate.look(offer.cell, rules, nowMs);
      busy ||= offer.rate.changed;
      if (share !== undefined) this.#open(offer, balance, share);
    }
    return busy;
  }

  #open(offer: Offer, balance: Options['balance'], successShare: number): void {
    const { table, clock, random } = this.#parts;
    if (!this.#isStanding(offer)) return;
    const others = offer.serving.filter((other) => other !== offer);
    const out = others.filter((other) => this.#isOut(other)).length;
    if (!mayEject(balance, offer.serving.length, out)) return;
    const rules = {
      enabled: true,
      threshold: balance.circuitBreakerThreshold,
      timeoutMs: balance.circuitBreakerTimeoutMs,
      probes: balance.circuitBreakerProbes,
    };
    // The clock that all threads share has 32 bits.
    const change = trip(offer.cell, rules, clock.wall() | 0, random.next());
    if (change === undefined) return;
    table.bump();
    const { upstream, model } = offer;
    this.#parts.publish({ fact: 'upstream-circuit', upstream, model, change, successShare });
  }

  #isOut(offer: Offer): boolean {
    return !this.#isStanding(offer) || circuitState(offer.cell) !== Circuit.closed;
  }

  #isStanding({ seat: { row, since } }: Offer): boolean {
    const { table } = this.#parts;
    const word = (name: keyof typeof UpstreamWord) => table.get(row, UpstreamWord[name]);
    return (
      word('present') !== 0 &&
      word('epoch') === since &&
      word('health') !== Health.failed &&
      word('drained') === 0
    );
  }
}
