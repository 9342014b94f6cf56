/**
 * The circuit of one offer (an upstream, for one model), over words that all threads share. Every transition is one compare-and-swap of
 * one word, so that it happens once, whoever sees its reason first.
 *
 *               threshold failures in a row, or the success rate fell
 *     ┌────────┐ ──────────────────────────────────────────────────▶ ┌──────┐
 *     │ closed │                                                     │ open │ ◀─────────┐
 *     └────────┘ ◀───────── `probes` first tokens in a row ───────── └──────┘           │ one failure:
 *          ▲                                                            │ its time is over  longer
 *          │                      ┌───────────┐ ◀───────────────────────┘               │
 *          └───────────────────── │ half-open │ ─────────────────────────────────────────┘
 *                                 └───────────┘  admits `probes` streams; everybody else goes elsewhere
 *
 * The state word: 2 bits of state, 8 bits of permits left, 8 bits of probes still to pass, 14 bits of version. A stream keeps the version under which
 * it was admitted: what it learns about an older life of the circuit changes nothing.
 *
 * A permit whose stream died with its thread never comes back: a half-open circuit that hears nothing for one open time admits anew.
 */

export const Circuit = { closed: 0, open: 1, halfOpen: 2 } as const;
export type CircuitState = (typeof Circuit)[keyof typeof Circuit];

/** The words of one circuit. Times are milliseconds on a wrapping 32-bit clock that all threads share. */
export const CircuitWord = {
  state: 0,
  /** open: closed to everybody until then. half-open: new permits from then on. closed: when it closed (slow start); 0 = it never was open. */
  since: 1,
  failuresInRow: 2,
  /** How often it opened without getting well in between. */
  opens: 3,
  /** Free-running outcomes, for the success rate. */
  succeeded: 4,
  failed: 5,
} as const;

export interface CircuitCell {
  load(word: number): number;
  store(word: number, value: number): void;
  compareAndSet(word: number, expected: number, value: number): boolean;
  add(word: number, n: number): number;
}

export interface CircuitRules {
  readonly enabled: boolean;
  /** Failures in a row that open it. */
  readonly threshold: number;
  /** First open time. */
  readonly timeoutMs: number;
  /** Streams admitted while half-open; as many must reach their first token. */
  readonly probes: number;
}

/** What a stream remembers of its admission; 0 versions count too. */
export interface Admitted {
  readonly version: number;
  /** It holds one of the permits of a half-open circuit. */
  readonly probe: boolean;
}

export type CircuitChange = 'opened' | 'closed' | undefined;

const OPEN_MS_MAX = 300_000;
const PROBES_MAX = 255;
const VERSIONS = 1 << 14;

const pack = (state: number, permits: number, owed: number, version: number) =>
  state | (permits << 2) | (owed << 10) | ((version % VERSIONS) << 18);
const stateOf = (word: number) => (word & 3) as CircuitState;
const permitsOf = (word: number) => (word >>> 2) & 255;
const owedOf = (word: number) => (word >>> 10) & 255;
const versionOf = (word: number) => word >>> 18;

/** State as last written; an open circuit whose time is over still says open until somebody asks to be admitted. */
export function circuitState(cell: CircuitCell): CircuitState {
  return stateOf(cell.load(CircuitWord.state));
}

/** Whether a stream would be admitted now. Changes nothing. */
export function wouldAdmit(cell: CircuitCell, rules: CircuitRules, nowMs: number): boolean {
  if (!rules.enabled) return true;
  const word = cell.load(CircuitWord.state);
  if (stateOf(word) === Circuit.closed) return true;
  if (stateOf(word) === Circuit.halfOpen && permitsOf(word) > 0) return true;
  return isPast(cell, nowMs);
}

/** A stream wants to start. Undefined: somebody else was faster; choose again. Settled exactly once by `succeeded`, `failed` or `abstained`. */
export function admit(cell: CircuitCell, rules: CircuitRules, nowMs: number): Admitted | undefined {
  const word = cell.load(CircuitWord.state);
  const state = stateOf(word);
  if (!rules.enabled || state === Circuit.closed) return { version: versionOf(word), probe: false };
  const probes = Math.min(rules.probes, PROBES_MAX);
  if (state === Circuit.halfOpen && permitsOf(word) > 0) {
    const version = versionOf(word);
    const next = pack(Circuit.halfOpen, permitsOf(word) - 1, owedOf(word), version);
    return cell.compareAndSet(CircuitWord.state, word, next) ? { version, probe: true } : undefined;
  }
  if (!isPast(cell, nowMs)) return undefined;
  const version = (versionOf(word) + 1) % VERSIONS;
  const next = pack(Circuit.halfOpen, probes - 1, probes, version);
  if (!cell.compareAndSet(CircuitWord.state, word, next)) return undefined;
  cell.store(CircuitWord.since, later(nowMs, rules.timeoutMs));
  return { version, probe: true };
}

/** As if admitted under the circuit as it is now: for a stream whose probe has passed and that may still fail later. */
export function standing(cell: CircuitCell): Admitted {
  return { version: versionOf(cell.load(CircuitWord.state)), probe: false };
}

/** It reached its first token. */
export function succeeded(cell: CircuitCell, admitted: Admitted, nowMs: number): CircuitChange {
  cell.add(CircuitWord.succeeded, 1);
  if (!admitted.probe) {
    if (cell.load(CircuitWord.failuresInRow) !== 0) cell.store(CircuitWord.failuresInRow, 0);
    return undefined;
  }
  for (;;) {
    const word = cell.load(CircuitWord.state);
    if (stateOf(word) !== Circuit.halfOpen || versionOf(word) !== admitted.version)
      return undefined;
    const owed = owedOf(word) - 1;
    if (owed > 0) {
      const next = pack(Circuit.halfOpen, permitsOf(word), owed, admitted.version);
      if (cell.compareAndSet(CircuitWord.state, word, next)) return undefined;
      continue;
    }
    if (
      !cell.compareAndSet(CircuitWord.state, word, pack(Circuit.closed, 0, 0, versionOf(word) + 1))
    )
      continue;
    cell.store(CircuitWord.failuresInRow, 0);
    cell.store(CircuitWord.since, later(nowMs, 0));
    return 'closed';
  }
}

/**
 * It failed for the upstream's fault. `mayOpen` is asked last and says whether this offer may be taken out (cap, never the last one).
 * `chance` is uniform in [0, 1).
 */
export function failed(
  cell: CircuitCell,
  rules: CircuitRules,
  admitted: Admitted,
  nowMs: number,
  chance: number,
  mayOpen: () => boolean,
): CircuitChange {
  cell.add(CircuitWord.failed, 1);
  if (!rules.enabled) return undefined;
  if (admitted.probe) return reopen(cell, rules, admitted, nowMs, chance);
  const word = cell.load(CircuitWord.state);
  if (stateOf(word) !== Circuit.closed || versionOf(word) !== admitted.version) return undefined;
  if (cell.add(CircuitWord.failuresInRow, 1) < rules.threshold || !mayOpen()) return undefined;
  return trip(cell, rules, nowMs, chance);
}

/** Neither good nor bad: a client that left, a rate limit, a request that was rightly refused. A permit goes back. */
export function abstained(cell: CircuitCell, admitted: Admitted): void {
  while (admitted.probe) {
    const word = cell.load(CircuitWord.state);
    if (stateOf(word) !== Circuit.halfOpen || versionOf(word) !== admitted.version) return;
    const permits = Math.min(PROBES_MAX, permitsOf(word) + 1);
    const next = pack(Circuit.halfOpen, permits, owedOf(word), admitted.version);
    if (cell.compareAndSet(CircuitWord.state, word, next)) return;
  }
}

/** Opens a closed circuit, for a reason the caller has found (failures in a row, success rate). */
export function trip(
  cell: CircuitCell,
  rules: CircuitRules,
  nowMs: number,
  chance: number,
): CircuitChange {
  const word = cell.load(CircuitWord.state);
  if (stateOf(word) !== Circuit.closed) return undefined;
  // Well for as long as it was last out: its past is forgiven.
  const closedAt = cell.load(CircuitWord.since);
  const opens = cell.load(CircuitWord.opens);
  const wellMs = (nowMs - closedAt) | 0;
  const forgiven = closedAt === 0 || wellMs < 0 || wellMs > openMs(rules.timeoutMs, opens, 0.5);
  return open(cell, word, rules, forgiven ? 0 : opens, nowMs, chance);
}

/** What a closed circuit still holds back after it was open: from `floor` to 1 over `rampMs`. 1 for all others. */
export function ramp(cell: CircuitCell, rampMs: number, nowMs: number, floor = 0.1): number {
  const closedAt = cell.load(CircuitWord.since);
  if (closedAt === 0 || rampMs === 0 || circuitState(cell) !== Circuit.closed) return 1;
  const share = ((nowMs - closedAt) | 0) / rampMs;
  // Negative: the clock wrapped since.
  return share < 0 || share >= 1 ? 1 : Math.max(floor, share);
}

/** Equal jitter over a doubling time: half of it always, the other half by chance. */
export function openMs(timeoutMs: number, opens: number, chance: number): number {
  const whole = Math.min(OPEN_MS_MAX, timeoutMs * 2 ** Math.min(opens, 16));
  return opens === 0 ? whole : whole / 2 + (whole / 2) * chance;
}

function reopen(
  cell: CircuitCell,
  rules: CircuitRules,
  admitted: Admitted,
  nowMs: number,
  chance: number,
): CircuitChange {
  const word = cell.load(CircuitWord.state);
  if (stateOf(word) !== Circuit.halfOpen || versionOf(word) !== admitted.version) return undefined;
  return open(cell, word, rules, cell.load(CircuitWord.opens), nowMs, chance);
}

function open(
  cell: CircuitCell,
  word: number,
  rules: CircuitRules,
  opens: number,
  nowMs: number,
  chance: number,
): CircuitChange {
  // Before the state says open: who reads "open" must not find an old time that has passed.
  const before = cell.load(CircuitWord.since);
  cell.store(CircuitWord.since, later(nowMs, openMs(rules.timeoutMs, opens, chance)));
  const next = pack(Circuit.open, 0, 0, versionOf(word) + 1);
  if (!cell.compareAndSet(CircuitWord.state, word, next)) {
    // Somebody else made the transition, with a time of its own; two that write at once mean the same.
    if (stateOf(cell.load(CircuitWord.state)) === Circuit.closed)
      cell.store(CircuitWord.since, before);
    return undefined;
  }
  cell.store(CircuitWord.opens, opens + 1);
  cell.store(CircuitWord.failuresInRow, 0);
  return 'opened';
}

function isPast(cell: CircuitCell, nowMs: number): boolean {
  return ((nowMs - cell.load(CircuitWord.since)) | 0) >= 0;
}

/** On the wrapping clock; never 0, which means "never". */
function later(nowMs: number, ms: number): number {
  return (nowMs + Math.ceil(ms)) | 0 || 1;
}
