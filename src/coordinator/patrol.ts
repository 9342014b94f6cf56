/** Probes every upstream again and again, each on its own beat with jitter, and writes what it found on the board. */
import { SOCKET_PROVIDER } from '../options/names.ts';
import type { Options, UpstreamOptions } from '../options/schema.ts';
import { Health, ProbeVerdict } from '../policy/health.ts';
import type { Random, Ticker } from '../policy/ports.ts';
import type { Seat } from '../policy/upstream-roster.ts';
import type { Fact } from '../threads/facts.ts';
import type { Board } from './board.ts';
import { type Probe, type ProbeTarget, probe } from './probe.ts';

/** Intervals vary by up to this share, so that many gateways do not probe at once. */
const JITTER_SHARE = 0.1;

export interface PatrolParts {
  readonly board: Board;
  readonly ticker: Ticker;
  readonly random: Random;
  publish(fact: Fact): void;
}

/** One upstream's round: from when it came until it left. */
interface Beat {
  readonly since: number;
  upstream: UpstreamOptions;
  verdict: ProbeVerdict;
  probe: Probe | undefined;
  /** The last probe failed, or the verdict is that it is not well. */
  suspect: boolean;
  cancelWait: () => void;
  over: boolean;
}

export class Patrol {
  readonly #parts: PatrolParts;
  readonly #beats = new Map<number, Beat>();
  #balance: Options['balance'] | undefined;
  #protocol: string | undefined;
  #stopped = false;

  constructor(parts: PatrolParts) {
    this.#parts = parts;
  }

  /**
   * Whom to visit from now on. The first probe of a new upstream goes out within a tenth of the interval; those that stay keep their beat
   * and their verdict. Call it after the board was written: a verdict begins with what stands there.
   */
  assign({ balance, proxy, upstreams }: Options, seats: readonly Seat[]): void {
    this.#balance = balance;
    [this.#protocol] = proxy.protocols;
    const due = new Map(seats.map((seat, at) => [seat.row, { seat, upstream: upstreams[at] }]));
    for (const [row, beat] of this.#beats) {
      if (due.get(row)?.seat.since !== beat.since) this.#end(row, beat);
    }
    for (const [row, { seat, upstream }] of due) {
      const beat = this.#beats.get(row);
      if (beat) {
        beat.upstream = upstream;
        beat.verdict.follow(balance);
      } else this.#begin(row, seat.since, upstream, balance);
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const [row, beat] of this.#beats) this.#end(row, beat);
  }

  #begin(row: number, since: number, upstream: UpstreamOptions, rules: Options['balance']): void {
    const verdict = new ProbeVerdict(rules, this.#parts.board.health(row));
    const probe = undefined;
    const world = { cancelWait: () => {}, suspect: false, over: false };
    const beat: Beat = { since, upstream, verdict, probe, ...world };
    this.#beats.set(row, beat);
    this.#later(row, beat, 0);
  }

  #end(row: number, beat: Beat): void {
    this.#beats.delete(row);
    beat.over = true;
    beat.cancelWait();
    beat.probe?.cancel();
  }

  #later(row: number, beat: Beat, share: number): void {
    if (this.#stopped || beat.over || !this.#balance) return;
    const { ticker, random } = this.#parts;
    const spread = share + JITTER_SHARE * (share === 0 ? 1 : 2) * random.next();
    const { healthCheckIntervalMs, healthCheckFastMs } = this.#balance;
    // An upstream that is not well is asked sooner: what it costs is little, and it may be back.
    const slowMs = beat.suspect ? healthCheckFastMs : healthCheckIntervalMs;
    const waitMs = Math.min(slowMs, healthCheckIntervalMs) * spread;
    const go = () => {
      this.#probe(row, beat).catch((thrown: unknown) => {
        const text = thrown instanceof Error ? thrown.message : String(thrown);
        this.#parts.publish({ fact: 'fault', where: 'coordinator probe', text });
      });
    };
    beat.cancelWait = ticker.after(waitMs, go);
  }

  async #probe(row: number, beat: Beat): Promise<void> {
    if (!this.#balance) return;
    const { ticker, board } = this.#parts;
    const { healthTimeoutMs } = this.#balance;
    beat.probe = probe(targetOf(beat.upstream, healthTimeoutMs, this.#protocol), ticker);
    const { good, reason } = await beat.probe.result;
    if (beat.over) return;
    const { verdict, upstream } = beat;
    const changed = verdict.probed(good);
    board.probed(row, verdict.health);
    beat.suspect = !good || verdict.health === Health.failed;
    if (changed) {
      const healthy = verdict.health === Health.good;
      this.#parts.publish({ fact: 'upstream-health', upstream: upstream.name, healthy, reason });
    }
    this.#later(row, beat, 1 - JITTER_SHARE);
  }
}

function targetOf(
  { url: text, healthPath, healthCheck, provider, apiKey }: UpstreamOptions,
  timeoutMs: number,
  protocol: string | undefined,
): ProbeTarget {
  // A WebSocket begins as HTTP: ws as http, wss as https.
  const url = new URL(text.replace(/^ws/, 'http'));
  const { origin } = url;
  const connect = url.protocol === 'https:' ? 'tls' : 'tcp';
  const way = healthCheck ?? (healthPath === undefined ? connect : 'http');
  if (way !== 'ping' || provider !== SOCKET_PROVIDER) {
    return { origin, way, path: way === 'http' ? (healthPath ?? '/') : undefined, timeoutMs };
  }
  const headers = {
    ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
    ...(protocol !== undefined && { 'sec-websocket-protocol': protocol }),
  };
  return { origin, way, path: `${url.pathname}${url.search}`, headers, timeoutMs };
}
