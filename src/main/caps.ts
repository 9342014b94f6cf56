/** What bounds a flood at the door: handshakes in a second, sessions of one owner, failed keys of one address. Pure: the time is an argument. */

/** A bucket of one second's handshakes. `take`: 0, or how long to wait. */
export function createRate(perSecond: number): { take(nowMs: number): number } {
  let tokens = perSecond;
  let lastMs = Number.NaN;
  return {
    take(nowMs) {
      const elapsedMs = Math.max(0, nowMs - lastMs) || 0; // a clock that went back gives nothing
      tokens = Math.min(perSecond, tokens + (elapsedMs * perSecond) / 1_000);
      lastMs = nowMs;
      if (tokens < 1) return ((1 - tokens) * 1_000) / perSecond;
      tokens--;
      return 0;
    },
  };
}

/** Sessions per owner; at most as many entries as there are sessions. */
export class Held {
  readonly #held = new Map<string, number>();

  of(owner: string): number {
    return this.#held.get(owner) ?? 0;
  }

  opened(owner: string): void {
    this.#held.set(owner, this.of(owner) + 1);
  }

  closed(owner: string): void {
    const left = this.of(owner) - 1;
    if (left > 0) this.#held.set(owner, left);
    else this.#held.delete(owner);
  }
}

/** Networks remembered in one second; more than that many guess at once: the handshakes' rate bounds those. */
const NETWORKS_MAX = 65_536;
const WINDOW_MS = 1_000;

/** Failed keys and tickets per network, in windows of one second. */
export class Failures {
  readonly #failed = new Map<string, number>();
  #windowMs = Number.NaN;

  /** 0, or how long this network has to wait before another one of its keys is looked at. */
  waitMs(network: string, max: number, nowMs: number): number {
    this.#turn(nowMs);
    return (this.#failed.get(network) ?? 0) < max ? 0 : this.#windowMs + WINDOW_MS - nowMs;
  }

  add(network: string, nowMs: number): void {
    this.#turn(nowMs);
    const failed = this.#failed.get(network);
    if (failed === undefined && this.#failed.size >= NETWORKS_MAX) return;
    this.#failed.set(network, (failed ?? 0) + 1);
  }

  #turn(nowMs: number): void {
    const ageMs = nowMs - this.#windowMs;
    if (ageMs >= 0 && ageMs < WINDOW_MS) return;
    this.#windowMs = nowMs;
    this.#failed.clear();
  }
}

export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** An IPv6 host owns a /64: its first four groups count as one address. */
export function network(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return groups.slice(0, 4).join(':');
}
