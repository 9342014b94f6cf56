/**
 * An answer as steps on the wire: what to send, how long to wait before it, where to break it off. Lazy and pure; play.ts performs it.
 */
import { type Answer, Purpose } from './answer.ts';
import { Draw } from './draw.ts';
import type { Faults } from './faults.ts';
import { type Framing, framingOf } from './framing.ts';

/** `end`: complete. `short`: the body ends in good order, too early. `cut`: FIN in the middle. `reset`: RST. `hang`: nothing, for ever. */
export type Finale = 'end' | 'short' | 'cut' | 'reset' | 'hang';

export interface Step {
  readonly waitMs: number;
  readonly bytes: string | Uint8Array;
  /** Content deltas in `bytes`: 0 or 1. */
  readonly tokens: number;
  /** What happens after `bytes`; the last step has it. */
  readonly finale?: Finale;
}

export interface ScriptOptions {
  readonly model: string;
  readonly createdS: number;
  readonly includeUsage: boolean;
  readonly seed: number;
  readonly number: number;
  readonly tokensPerSecond: number;
  readonly firstTokenMs: number;
  /** Deviation of the logarithm of waiting times; 0 makes them exact. */
  readonly jitter: number;
}

const FINGERPRINT = 'simulated';
const OVERSIZE_BYTES = 2 * 1024 * 1024;

/** The steps of a streamed answer. */
export function* streamSteps(
  answer: Answer,
  options: ScriptOptions,
  faults: Faults,
): Generator<Step> {
  const framing = framingOf(faults);
  const chunk = chunkMaker(answer, options, faults);
  const clock = pace(options, faults);
  yield step(framing.preamble);
  if (!faults['no-role'])
    yield step(
      framing.event(chunk(`"role":"assistant","content":${faults['null-role'] ? 'null' : '""'}`)),
    );
  if (faults['stall-first'] !== undefined) yield pauseFor(faults['stall-first']);
  let sent = 0;
  for (const delta of deltas(answer, faults)) {
    const broken = breakAt(sent, framing, faults, chunk);
    if (broken) {
      yield* broken;
      if (broken.at(-1)?.finale) return;
    }
    yield { waitMs: clock.wait(), bytes: framing.event(chunk(delta)), tokens: 1 };
    sent += 1;
  }
  const broken = breakAt(sent, framing, faults, chunk);
  if (broken) {
    yield* broken;
    if (broken.at(-1)?.finale) return;
  }
  yield* ending(answer, options, faults, framing, chunk);
}

/** The body of an answer that is not streamed. */
export function wholeAnswer(answer: Answer, options: ScriptOptions): string {
  const calls = answer.calls.map(({ id, name, fragments }) => ({
    id,
    type: 'function',
    function: { name, arguments: fragments.join('') },
  }));
  const message = {
    role: 'assistant',
    content: calls.length > 0 || answer.refusal.length > 0 ? null : answer.content.join(''),
    refusal: answer.refusal.join('') || null,
    ...(answer.reasoning.length > 0 && { reasoning_content: answer.reasoning.join('') }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
  return JSON.stringify({
    id: answer.id,
    object: 'chat.completion',
    created: options.createdS,
    model: options.model,
    system_fingerprint: FINGERPRINT,
    choices: [{ index: 0, message, logprobs: null, finish_reason: answer.finish }],
    usage: usageOf(answer),
  });
}

/** How long the whole answer takes at the configured pace: what a request that does not stream waits for. */
export function wholeAnswerMs(answer: Answer, options: ScriptOptions, faults: Faults): number {
  const clock = pace(options, faults);
  let totalMs = 0;
  for (let token = 0; token < answer.completionTokens; token += 1) totalMs += clock.wait();
  return totalMs;
}

type Chunk = (delta: string, rest?: { finish?: string; usage?: unknown }) => string;

function chunkMaker(answer: Answer, options: ScriptOptions, faults: Faults): Chunk {
  const head = {
    id: answer.id,
    object: 'chat.completion.chunk',
    created: options.createdS,
    model: options.model,
    system_fingerprint: FINGERPRINT,
  };
  const front = `${JSON.stringify(head).slice(0, -1)},"choices":[{"index":0,"delta":{`;
  const noUsage = options.includeUsage ? ',"usage":null' : '';
  const nulls = faults['null-fields'] ? ['refusal', 'tool_calls', 'function_call'] : [];
  let padding = 0;
  return (delta, rest = {}) => {
    const unused = nulls.filter((name) => !delta.startsWith(`"${name}"`));
    const fields = [delta, ...unused.map((name) => `"${name}":null`)];
    const finish = rest.finish === undefined ? 'null' : JSON.stringify(rest.finish);
    const usage = rest.usage === undefined ? noUsage : `,"usage":${JSON.stringify(rest.usage)}`;
    const pad = faults.obfuscation ? `,"obfuscation":"${'x'.repeat((padding += 7) % 31)}"` : '';
    const inside = fields.filter(Boolean).join(',');
    return `${front}${inside}},"logprobs":null,"finish_reason":${finish}}]${usage}${pad}}`;
  };
}

/** Every content delta as the inside of a `delta` object. */
function* deltas(answer: Answer, faults: Faults): Generator<string> {
  const field = faults['reasoning-field'] ?? 'reasoning_content';
  for (const token of answer.reasoning) yield `${JSON.stringify(field)}:${JSON.stringify(token)}`;
  for (const token of answer.content) yield `"content":${JSON.stringify(token)}`;
  for (const token of answer.refusal) yield `"refusal":${JSON.stringify(token)}`;
  for (const [index, { id, name, fragments }] of answer.calls.entries()) {
    for (const [at, fragment] of ['', ...fragments].entries()) {
      const call =
        at === 0
          ? { index, id, type: 'function', function: { name, arguments: '' } }
          : { index, function: { arguments: fragment } };
      yield `"tool_calls":[${JSON.stringify(call)}]`;
    }
  }
}

/** What the faults want after `sent` tokens; the last step has a finale if the answer ends there. */
function breakAt(sent: number, framing: Framing, faults: Faults, chunk: Chunk): Step[] | undefined {
  if (sent === faults['reset-after']) return [step('', 'reset')];
  if (sent === faults['cut-after']) return [step('', 'cut')];
  if (sent === faults['end-after']) return [step('', 'short')];
  if (sent === faults['stall-after']) return [pauseFor(faults['stall-ms'] ?? 0)];
  if (sent === faults['malformed-after']) return [step(framing.broken)];
  if (sent === faults['oversize-after'])
    return [step(framing.event(chunk(`"content":"${'x'.repeat(OVERSIZE_BYTES)}"`)))];
  if (sent === faults['bad-utf8-after'])
    return [{ waitMs: 0, bytes: notUtf8(framing.event(chunk('"content":"\u0001"'))), tokens: 0 }];
  if (sent === faults['error-after'])
    return [step(failure(faults, framing) + framing.done, 'short')];
  return undefined;
}

/** Finish reason, usage, [DONE]. */
function* ending(
  answer: Answer,
  options: ScriptOptions,
  faults: Faults,
  framing: Framing,
  chunk: Chunk,
): Generator<Step> {
  const usage = options.includeUsage && !faults['no-usage'];
  const together = usage && faults['usage-with-finish'];
  if (!faults['no-finish']) {
    const rest = { finish: answer.finish, ...(together && { usage: usageOf(answer) }) };
    yield step(framing.event(chunk('', rest)));
  }
  if (faults['finish-late'] !== undefined) yield pauseFor(faults['finish-late']);
  if (usage && !together) yield step(framing.event(usageChunk(answer, options)));
  if (!faults['no-done']) yield step(framing.done);
  if (faults['after-done']) yield step(framing.event(chunk('"content":"after the end"')));
  yield step('', 'end');
}

function usageChunk(answer: Answer, options: ScriptOptions): string {
  return JSON.stringify({
    id: answer.id,
    object: 'chat.completion.chunk',
    created: options.createdS,
    model: options.model,
    system_fingerprint: FINGERPRINT,
    choices: [],
    usage: usageOf(answer),
  });
}

function usageOf(answer: Answer) {
  return {
    prompt_tokens: answer.promptTokens,
    completion_tokens: answer.completionTokens,
    total_tokens: answer.promptTokens + answer.completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: answer.reasoningTokens },
  };
}

function failure(faults: Faults, framing: Framing): string {
  const code = faults['error-code'] ?? 'server_error';
  const message = `[simulated] an error in the stream, as asked for (${code})`;
  return framing.event(JSON.stringify({ error: { message, type: code, param: null, code } }));
}

/** Replaces the placeholder byte by a lone continuation byte. */
function notUtf8(event: string): Uint8Array {
  const bytes = Buffer.from(event.replace('\\u0001', '\u0001'));
  bytes[bytes.indexOf(1)] = 0x80;
  return bytes;
}

/** Waiting times: the first token's, then one between any two. */
function pace(options: ScriptOptions, faults: Faults): { wait(): number } {
  const draw = new Draw(options.seed, options.number, Purpose.timing);
  const gapMs = 1000 / (faults.rate ?? options.tokensPerSecond);
  let first = true;
  return {
    wait() {
      if (!first) return gapMs === 0 ? 0 : draw.around(gapMs, options.jitter);
      first = false;
      return draw.around(faults['first-token-ms'] ?? options.firstTokenMs, options.jitter);
    },
  };
}

function step(bytes: string, finale?: Finale): Step {
  return { waitMs: 0, bytes, tokens: 0, ...(finale && { finale }) };
}

/** Silence of `ms`; 0 is for ever. */
function pauseFor(ms: number): Step {
  return ms === 0 ? step('', 'hang') : { waitMs: ms, bytes: '', tokens: 0 };
}
