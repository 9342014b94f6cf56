/** Probes every upstream again and again, each on its own beat with jitter, and writes what it found on the board. */
import type { Options, UpstreamOptions } from '../options/schema.ts';
import { Health, ProbeVerdict } from '../policy/health.ts';
import type { Random, Ticker } from '../policy/ports.ts';
import type { Fact } from '../threads/facts.ts';
import type { Board } from './board.ts';
import { type Probe, probe } from './probe.ts';

/** Intervals vary by up to this share, so that many gateways do not probe at once. */
const JITTER_SHARE = 0.1;

export interface PatrolParts {
  readonly options: Options;
  readonly board: Board;
  readonly ticker: Ticker;
  readonly random: Random;
  publish(fact: Fact): void;
}

export class Patrol {
  readonly #parts: PatrolParts;
  readonly #verdicts: readonly ProbeVerdict[];
  readonly #probes = new Map<number, Probe>();
  readonly #waits = new Map<number, () => void>();
  #stopped = false;

  constructor(parts: PatrolParts) {
    this.#parts = parts;
    const { balance, upstreams } = parts.options;
    this.#verdicts = upstreams.map(
      (_, index) => new ProbeVerdict(balance, parts.board.health(index)),
    );
  }

  /** The first probe of each upstream goes out within a tenth of the interval. */
  start(): void {
    for (const index of this.#verdicts.keys()) this.#later(index, 0);
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#waits.values()) cancel();
    for (const running of this.#probes.values()) running.cancel();
  }

  #later(index: number, share: number): void {
    if (this.#stopped) return;
    const { ticker, random, options } = this.#parts;
    const spread = share + JITTER_SHARE * (share === 0 ? 1 : 2) * random.next();
    const waitMs = options.balance.healthCheckIntervalMs * spread;
    const go = () => {
      this.#probe(index).catch((thrown: unknown) => {
        const text = thrown instanceof Error ? thrown.message : String(thrown);
        this.#parts.publish({ fact: 'fault', where: 'coordinator probe', text });
      });
    };
    this.#waits.set(index, ticker.after(waitMs, go));
  }

  async #probe(index: number): Promise<void> {
    const { options, ticker, board } = this.#parts;
    const upstream = options.upstreams[index];
    const timeoutMs = options.balance.healthTimeoutMs;
    const running = probe(targetOf(upstream, timeoutMs), ticker);
    this.#probes.set(index, running);
    const { good, reason } = await running.result;
    if (this.#stopped) return;
    const verdict = this.#verdicts[index];
    const changed = verdict.probed(good);
    board.probed(index, verdict.health);
    if (changed) {
      const healthy = verdict.health === Health.good;
      this.#parts.publish({ fact: 'upstream-health', upstream: upstream.name, healthy, reason });
    }
    this.#later(index, 1 - JITTER_SHARE);
  }
}

function targetOf({ url, healthPath }: UpstreamOptions, timeoutMs: number) {
  return { origin: new URL(url).origin, path: healthPath, timeoutMs };
}
