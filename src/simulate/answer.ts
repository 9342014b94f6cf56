/**
 * Makes an answer up: pure, a function of the server's seed, the request's number and the request. Tests call it to know what a
 * stream must have said.
 */
import type { ChatRequest } from './chat-request.ts';
import { DISCLOSURE, passages, thoughts } from './corpus.ts';
import type { Directives } from './directives.ts';
import { Draw } from './draw.ts';
import { toolArguments } from './tool-arguments.ts';

export interface AnswerCall {
  readonly id: string;
  readonly name: string;
  /** Concatenated: JSON text. */
  readonly fragments: readonly string[];
}

export interface Answer {
  readonly id: string;
  /** Deltas, in order: reasoning, then content (or refusal), then calls. */
  readonly reasoning: readonly string[];
  readonly content: readonly string[];
  readonly refusal: readonly string[];
  readonly calls: readonly AnswerCall[];
  readonly finish: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly reasoningTokens: number;
}

export interface AnswerSeeds {
  readonly seed: number;
  /** Counted by the server from 0. */
  readonly number: number;
  /** Mean length of an answer. */
  readonly meanTokens: number;
}

/** Purposes of the draws, so that a change in one leaves the others alone. */
export const Purpose = {
  text: 1,
  length: 2,
  tools: 3,
  timing: 4,
  identity: 5,
  thought: 6,
} as const;

const REFUSAL = `${DISCLOSURE} It refuses, as it was asked to.`;

export function answerFor(request: ChatRequest, wish: Directives, seeds: AnswerSeeds): Answer {
  const drawFor = (purpose: number) => new Draw(seeds.seed, seeds.number, purpose);
  const thought = request.reasoning || wish.reason ? thinking(drawFor(Purpose.thought)) : [];
  const calls = wish.refuse ? [] : callsFor(request, wish, drawFor(Purpose.tools));
  const refused = wish.refuse ? tokensOf(REFUSAL) : [];
  const silent = wish.refuse || calls.length > 0;
  const said = silent ? [] : stopAt(contentFor(wish, seeds, drawFor), request.stop);
  const all = [thought, said, refused, ...calls.map((call) => call.fragments)];
  const wanted = sum(all.map((tokens) => tokens.length));

  const room = { left: request.tokensMax };
  const [reasoning = [], content = [], refusal = [], ...fragments] = all.map((one) =>
    take(room, one),
  );
  const reason = calls.length > 0 ? 'tool_calls' : 'stop';
  return {
    id: `chatcmpl-simulated-${identity(drawFor(Purpose.identity))}`,
    reasoning,
    content,
    refusal,
    calls: calls.map((call, index) => ({ ...call, fragments: fragments[index] ?? [] })),
    finish: wish.finish ?? (wanted > request.tokensMax ? 'length' : reason),
    promptTokens: sum(request.messages.map((message) => 4 + tokensOf(message.content).length)),
    completionTokens: Math.min(wanted, request.tokensMax),
    reasoningTokens: reasoning.length,
  };
}

/** Pieces as a model would emit them: a blank and up to seven letters, or one ideograph; never half a code point. */
export function tokensOf(text: string): string[] {
  return (
    text.match(/\s*[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|\s*[^\s]{1,7}|\s+/gu) ??
    []
  );
}

function contentFor(
  wish: Directives,
  seeds: AnswerSeeds,
  drawFor: (purpose: number) => Draw,
): string[] {
  if (wish.echo !== undefined) return tokensOf(wish.echo);
  const draw = drawFor(Purpose.text);
  const length =
    wish.tokens ?? Math.max(8, Math.round(drawFor(Purpose.length).around(seeds.meanTokens, 0.5)));
  const tokens = tokensOf(DISCLOSURE);
  let last = '';
  while (tokens.length < length) {
    const passage = draw.pick(passages);
    if (passage === last) continue;
    last = passage;
    tokens.push(...tokensOf(`\n\n${passage}`));
  }
  if (wish.tokens !== undefined) return tokens.slice(0, length);
  return tokens;
}

function thinking(draw: Draw): string[] {
  const from = draw.below(thoughts.length);
  const rotated = [...thoughts.slice(from), ...thoughts.slice(0, from)];
  return tokensOf(`(simulated) ${rotated.slice(0, 3).join(' ')}`);
}

/** Tools are called when the request insists or the prompt says `@tool`; a result that just came back is answered in words. */
function callsFor(
  request: ChatRequest,
  wish: Directives,
  draw: Draw,
): { id: string; name: string; fragments: string[] }[] {
  const { tools, toolChoice } = request;
  if (tools.length === 0 || toolChoice === 'none') return [];
  if (request.messages.at(-1)?.role === 'tool') return [];
  let wished = wish.tools.filter((one) => tools.some((tool) => tool.name === one.name));
  if (typeof toolChoice === 'object') wished = [{ name: toolChoice.name }];
  else if (toolChoice === 'required' && wished.length === 0)
    wished = [{ name: draw.pick(tools).name }];
  if (!request.parallelToolCalls) wished = wished.slice(0, 1);
  return wished.map(({ name, arguments: given }) => {
    const parameters = tools.find((tool) => tool.name === name)?.parameters;
    const json = given ?? toolArguments(parameters, draw);
    return {
      id: `call_simulated_${identity(draw)}`,
      name,
      fragments: json.match(/[^]{1,6}/gu) ?? [],
    };
  });
}

/** Cuts in front of the first stop sequence, wherever it lies over the tokens. */
function stopAt(tokens: string[], stops: readonly string[]): string[] {
  const whole = tokens.join('');
  const found = stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
  if (found.length === 0) return tokens;
  return tokensOf(whole.slice(0, Math.min(...found)));
}

function take(room: { left: number }, tokens: readonly string[]): readonly string[] {
  const taken = tokens.slice(0, room.left);
  room.left -= taken.length;
  return taken;
}

function identity(draw: Draw): string {
  const word = () =>
    draw
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return word() + word();
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
