/** One question on a lane and what its events say: state, figures and the story of its attempts. Free of the document; times in milliseconds of the caller's clock. */

/** A failed attempt, as /demo/status tells it. */
export interface Failure {
  readonly upstream: string;
  readonly code: string;
  readonly text: string;
  readonly atMs: number;
}

export interface Turn {
  readonly startedMs: number;
  id?: string;
  text: string;
  thought: string;
  refusal: string;
  readonly calls: string[];
  deltas: number;
  firstMs?: number;
  endedMs?: number;
  /** What the server calls it: in_progress, completed, failed, cancelled … */
  status: string;
  done: boolean;
  problem?: string;
  outputTokens?: number;
  upstream?: string;
  attempts: number;
  failures: readonly Failure[];
  /** Deltas per slice of time since the first; `pulseFrom` is the number of the first slice kept. */
  readonly pulse: number[];
  pulseFrom: number;
}

export const SLICE_MS = 250;
/** A minute and a half of slices; older ones leave. */
const SLICES_MAX = 360;

export function createTurn(startedMs: number): Turn {
  const blank = { text: '', thought: '', refusal: '', calls: [], deltas: 0, attempts: 0 };
  const status = 'in_progress';
  return { startedMs, ...blank, status, done: false, failures: [], pulse: [], pulseFrom: 0 };
}

interface Extension {
  readonly code?: string;
  readonly retry?: string;
  readonly upstream?: string | null;
  readonly attempts?: number;
  readonly delivered?: { readonly deltas: number } | null;
}
interface Problem {
  readonly code?: string;
  readonly message?: string;
}
/** What this page reads of the events of docs/PROTOCOL.md. */
export interface ServerEvent {
  readonly type: string;
  readonly stream_id?: string;
  readonly delta?: string;
  readonly item?: { readonly type: string; readonly name?: string; readonly arguments?: string };
  readonly error?: Problem;
  readonly x_millrace?: Extension;
  readonly response?: {
    readonly id: string;
    readonly error?: Problem | null;
    readonly incomplete_details?: { readonly reason: string } | null;
    readonly usage?: { readonly output_tokens: number } | null;
    readonly x_millrace?: Extension;
  };
}

/** Lets a turn take an event; unknown ones change nothing. */
export function takeEvent(turn: Turn, event: ServerEvent, nowMs: number): void {
  const { type, delta = '', response } = event;
  if (response) turn.id = response.id;
  takeExtension(turn, response?.x_millrace ?? event.x_millrace);
  if (type.endsWith('.delta')) count(turn, nowMs);
  switch (type) {
    case 'response.output_text.delta':
      turn.text += delta;
      break;
    case 'response.refusal.delta':
      turn.refusal += delta;
      break;
    case 'response.reasoning_text.delta':
    case 'response.reasoning_summary_text.delta':
      turn.thought += delta;
      break;
    case 'response.output_item.done':
      if (event.item?.type === 'function_call')
        turn.calls.push(`${event.item.name}(${event.item.arguments})`);
      break;
    case 'response.completed':
      finishTurn(turn, 'completed', nowMs);
      break;
    case 'response.incomplete':
      finishTurn(turn, response?.incomplete_details?.reason ?? 'incomplete', nowMs);
      break;
    case 'response.failed':
      finishTurn(turn, 'failed', nowMs, problemOf(response?.error, response?.x_millrace));
      break;
    case 'error':
      finishTurn(turn, 'failed', nowMs, problemOf(event.error, event.x_millrace));
      break;
  }
  const tokens = response?.usage?.output_tokens;
  if (tokens !== undefined) turn.outputTokens = tokens;
}

function takeExtension(turn: Turn, extension: Extension | undefined): void {
  if (extension?.upstream) turn.upstream = extension.upstream;
  if (extension?.attempts !== undefined) turn.attempts = extension.attempts;
}

function count(turn: Turn, nowMs: number): void {
  turn.deltas += 1;
  turn.firstMs ??= nowMs;
  const { pulse } = turn;
  const slice = Math.floor((nowMs - turn.firstMs) / SLICE_MS);
  while (turn.pulseFrom + pulse.length <= slice) {
    pulse.push(0);
    if (pulse.length <= SLICES_MAX) continue;
    pulse.shift();
    turn.pulseFrom += 1;
  }
  pulse[pulse.length - 1] += 1;
}

export function finishTurn(turn: Turn, status: string, nowMs: number, problem?: string): void {
  if (turn.done) return;
  turn.status = status;
  turn.done = true;
  turn.endedMs = nowMs;
  if (problem !== undefined) turn.problem = problem;
}

const advice: Readonly<Record<string, string>> = {
  never: 'Trying again will not help.',
  later: 'Trying again later may help.',
  elsewhere: 'Trying again may help.',
};

/** A sentence with the typed code in it. */
function problemOf(error: Problem | null | undefined, extension: Extension | undefined): string {
  const code = extension?.code ?? error?.code ?? 'unknown';
  const count = extension?.delivered?.deltas;
  const delivered = count ? ` ${count} deltas had arrived.` : '';
  const end = advice[extension?.retry ?? ''] ?? '';
  return `${code}: ${error?.message ?? 'no message'}.${delivered} ${end}`.trim();
}

/** A stretch of a turn's life, for its strip. */
export interface Segment {
  readonly kind: 'failed' | 'wait' | 'stream' | 'broken' | 'cancelled';
  readonly ms: number;
  readonly label: string;
}

/** Attempts that failed before the first token, and the failure that broke the answer off, if any. */
function told(turn: Turn): { before: readonly Failure[]; breaking: Failure | undefined } {
  const answered = turn.firstMs !== undefined;
  const before = answered ? turn.failures.slice(0, Math.max(0, turn.attempts - 1)) : turn.failures;
  return { before, breaking: turn.failures[before.length] };
}

export function segmentsOf(turn: Turn, nowMs: number): Segment[] {
  const endMs = turn.endedMs ?? nowMs;
  const segments: Segment[] = [];
  let atMs = turn.startedMs;
  const add = (kind: Segment['kind'], toMs: number, label: string) => {
    const ms = Math.max(1, toMs - atMs);
    segments.push({ kind, ms, label });
    atMs = Math.max(atMs, toMs);
  };
  for (const failure of told(turn).before) {
    add('failed', Math.min(failure.atMs, turn.firstMs ?? endMs), failure.upstream);
  }
  if (turn.firstMs === undefined) {
    if (!turn.done || turn.status !== 'failed') add('wait', endMs, 'waiting');
  } else {
    add('wait', turn.firstMs, 'first token');
    add('stream', endMs, turn.upstream ?? 'answer');
  }
  if (turn.done && turn.status === 'failed' && turn.firstMs !== undefined)
    add('broken', endMs, 'broke off');
  if (turn.status === 'cancelled') add('cancelled', endMs, 'cancelled');
  return segments;
}

export interface Step {
  readonly tone: 'plain' | 'bad' | 'good';
  readonly text: string;
}

/** What happened, in sentences, for people who read and for screen readers. */
export function stepsOf(turn: Turn): Step[] {
  const since = (atMs: number) => `${Math.max(0, Math.round(atMs - turn.startedMs))} ms`;
  const { before } = told(turn);
  const steps: Step[] = before.map(({ text, atMs }) => ({
    tone: 'bad',
    text: `${text.replace(/^upstream /, '')}; after ${since(atMs)}`,
  }));
  const untold = turn.attempts - 1 - before.length;
  if (untold > 0) {
    const text = `${untold} failed attempt${untold === 1 ? '' : 's'} before`;
    steps.push({ tone: 'bad', text });
  }
  if (turn.firstMs !== undefined) {
    const nth = turn.attempts > 1 ? `, attempt ${turn.attempts}` : '';
    const text = `${turn.upstream ?? 'upstream'} answers${nth}; first token after ${since(turn.firstMs)}`;
    steps.push({ tone: 'good', text });
  }
  if (turn.problem !== undefined) steps.push({ tone: 'bad', text: turn.problem });
  else if (turn.done) steps.push({ tone: 'plain', text: endOf(turn) });
  return steps;
}

function endOf(turn: Turn): string {
  const seconds = (((turn.endedMs ?? 0) - turn.startedMs) / 1000).toFixed(1);
  const tokens = turn.outputTokens === undefined ? '' : `, ${turn.outputTokens} tokens`;
  return `${turn.status}${tokens} in ${seconds} s`;
}

/** Deltas per second lately; over all of it once it is done. */
export function rateOf(turn: Turn, nowMs: number): number | undefined {
  if (turn.firstMs === undefined) return undefined;
  if (turn.done) {
    const ms = (turn.endedMs ?? nowMs) - turn.firstMs;
    return ms > 50 ? ((turn.outputTokens ?? turn.deltas) * 1000) / ms : undefined;
  }
  const whole = Math.floor((nowMs - turn.firstMs) / SLICE_MS);
  if (whole < 1) return undefined;
  const to = whole - turn.pulseFrom;
  const recent = turn.pulse.slice(Math.max(0, to - 4), to);
  const sum = recent.reduce((total, each) => total + each, 0);
  return (sum * 1000) / (Math.max(1, Math.min(4, whole)) * SLICE_MS);
}
