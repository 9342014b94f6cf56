/** OpenAI chat completions. */
import type { Answer } from '../answer.ts';
import { parseChatRequest } from '../chat-request.ts';
import type { Faults } from '../faults.ts';
import {
  type Piece,
  piecesOf,
  type Speaker,
  type Voice,
  type VoiceOptions,
  type WireEvents,
} from './voice.ts';

const FINGERPRINT = 'simulated';

export const chat: Voice = {
  name: 'openai-chat',
  path: '/v1/chat/completions',
  framing: 'events',
  marker: true,
  parse: parseChatRequest,
  speak,
  whole,
};

function speak(answer: Answer, options: VoiceOptions, faults: Faults): Speaker {
  const chunk = chunkMaker(answer, options, faults);
  const one = (delta: string, rest?: Rest): WireEvents => [{ json: chunk(delta, rest) }];
  const usage = options.includeUsage && !faults['no-usage'];
  const together = usage && faults['usage-with-finish'];
  return {
    opening: () =>
      faults['no-role']
        ? []
        : one(`"role":"assistant","content":${faults['null-role'] ? 'null' : '""'}`),
    *tokens() {
      for (const piece of piecesOf(answer)) yield one(deltaOf(piece, faults));
    },
    text: (json) => one(`"content":${json}`),
    failure: (code, message) => [
      { json: JSON.stringify({ error: { message, type: code, param: null, code } }) },
    ],
    finish: () => one('', { finish: answer.finish, ...(together && { usage: usageOf(answer) }) }),
    after: () => (usage && !together ? [{ json: usageChunk(answer, options) }] : []),
  };
}

/** A piece as the inside of a `delta` object. */
function deltaOf(piece: Piece, faults: Faults): string {
  const field = faults['reasoning-field'] ?? 'reasoning_content';
  if (piece.kind === 'reasoning') return `${JSON.stringify(field)}:${JSON.stringify(piece.text)}`;
  if (piece.kind === 'call') {
    const { index, id, name } = piece;
    const call = { index, id, type: 'function', function: { name, arguments: '' } };
    return `"tool_calls":[${JSON.stringify(call)}]`;
  }
  if (piece.kind === 'arguments') {
    const call = { index: piece.index, function: { arguments: piece.text } };
    return `"tool_calls":[${JSON.stringify(call)}]`;
  }
  return `"${piece.kind}":${JSON.stringify(piece.text)}`;
}

interface Rest {
  readonly finish?: string;
  readonly usage?: unknown;
}

function chunkMaker(
  answer: Answer,
  options: VoiceOptions,
  faults: Faults,
): (delta: string, rest?: Rest) => string {
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
  return (delta: string, rest: Rest = {}) => {
    const unused = nulls.filter((name) => !delta.startsWith(`"${name}"`));
    const fields = [delta, ...unused.map((name) => `"${name}":null`)];
    const finish = rest.finish === undefined ? 'null' : JSON.stringify(rest.finish);
    const usage = rest.usage === undefined ? noUsage : `,"usage":${JSON.stringify(rest.usage)}`;
    const pad = faults.obfuscation ? `,"obfuscation":"${'x'.repeat((padding += 7) % 31)}"` : '';
    const inside = fields.filter(Boolean).join(',');
    return `${front}${inside}},"logprobs":null,"finish_reason":${finish}}]${usage}${pad}}`;
  };
}

function usageChunk(answer: Answer, options: VoiceOptions): string {
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

/** The body of an answer that is not streamed. */
function whole(answer: Answer, options: VoiceOptions): string {
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
