/**
 * Frames as clients get them: answers of the simulated upstream, or recorded ones, through a provider's decoder and a dialect's
 * encoder, one delta per frame. What dictionaries are trained on and codecs are measured with. From seeds alone.
 */
import type { Dialect, FrameSink } from '../../src/protocol/dialect.ts';
import { dialects } from '../../src/protocol/dialects/dialects.ts';
import type { Provider } from '../../src/protocol/provider.ts';
import { openaiChat } from '../../src/protocol/providers/openai-chat.ts';
import { answerFor } from '../../src/simulate/answer.ts';
import { streamSteps } from '../../src/simulate/script.ts';
import { chat } from '../../src/simulate/voices/chat.ts';

/** Dialects that answer over WebSocket in frames of their own. */
export const framedDialects = ['responses', 'chat'] as const;
export type FramedDialect = (typeof framedDialects)[number];

const models = ['gpt-5.4-mini', 'claude-sonnet-5', 'llama3.2', 'qwen3-8b', 'demo', 'mistral-small'];

/** The body of one simulated answer. Every third one thinks first, every fourth one calls a tool. */
export function simulatedBody(seed: number, number: number): Uint8Array {
  const tools = [
    {
      type: 'function',
      function: {
        name: 'get_weather',
        parameters: { type: 'object', properties: { city: { type: 'string' } } },
      },
    },
  ];
  const request = chat.parse(
    JSON.stringify({
      model: models[number % models.length],
      messages: [{ role: 'user', content: 'hello' }],
      stream: true,
      ...(number % 4 === 3 ? { tools } : {}),
    }),
  );
  const wish = {
    tools: number % 4 === 3 ? [{ name: 'get_weather' }] : [],
    reason: number % 3 === 2,
    refuse: false,
  };
  const answer = answerFor(request, wish, { seed, number, meanTokens: 60 });
  const options = {
    seed,
    number,
    tokensPerSecond: 0,
    firstTokenMs: 0,
    jitter: 0,
    model: request.model,
    createdS: 1_790_000_000 + number,
    includeUsage: true,
  };
  const steps = [...streamSteps(chat, answer, options, {})];
  return Buffer.concat(steps.map(({ bytes }) => Buffer.from(bytes)));
}

class Frames implements FrameSink {
  readonly all: Uint8Array[] = [];

  frame(bytes: Uint8Array, length: number): void {
    this.all.push(new Uint8Array(bytes.subarray(0, length)));
  }
}

const asks: Readonly<Record<FramedDialect, (model: string) => object>> = {
  responses: (model) => ({ type: 'response.create', model, input: 'x' }),
  chat: (model) => ({ message: 'x', model }),
};

/** All frames of one answer in a dialect: openers, deltas, ends. */
export function framesOf(
  name: FramedDialect,
  body: Uint8Array,
  number: number,
  provider: Provider = openaiChat,
): readonly Uint8Array[] {
  const out = new Frames();
  const dialect: Dialect = dialects[name];
  const bounds = { historyBytesMax: 0, outputBytesMax: 2 ** 30, lanesMax: 32 };
  const conversation = dialect.conversation(bounds, { has: () => true, names: models });
  const nonce = Uint8Array.from(
    { length: 16 },
    (_, i) => Math.imul(number + 1, 2_654_435_761 + i) >>> 7,
  );
  const seed = { nonce, owner: number % 8, generation: 1, tag: Math.imul(number, 40_503) >>> 0 };
  const bytes = Buffer.from(JSON.stringify(asks[name](models[number % models.length])));
  const arrivedMs = 1_790_000_000_000 + number * 977;
  const command = conversation.decode({ bytes, binary: false, seed, arrivedMs });
  if (command.kind !== 'turn') throw new Error(command.kind);
  const opening = conversation.begin(command.turn, out);
  if (opening.kind !== 'run') throw new Error(opening.kind);
  const decoder = provider.decoder('upstream', opening.encoder, { eventBytesMax: 2 ** 24 });
  decoder.push(body);
  decoder.close();
  return out.all;
}
