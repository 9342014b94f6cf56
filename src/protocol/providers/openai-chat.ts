/** OpenAI's Chat Completions, and the many servers that speak it (llama-server, Ollama, vLLM, LiteLLM, …). */
import type { Provider } from '../provider.ts';
import { SseFramer } from '../sse.ts';
import { LlamaResumption } from './llama-resumption.ts';
import { refusal } from './openai-chat-errors.ts';
import { OpenaiChatReader } from './openai-chat-reader.ts';
import { encode } from './openai-chat-request.ts';
import { StreamDecoder } from './stream-decoder.ts';

export const openaiChat: Provider = {
  name: 'openai-chat',
  encode,
  decoder: (upstream, sink, bounds) =>
    new StreamDecoder(upstream, sink, bounds, {
      framing: 'events',
      framer: new SseFramer(bounds.eventBytesMax),
      reader: new OpenaiChatReader(upstream),
    }),
  refusal,
  resume: { llama: (request, nonce) => new LlamaResumption(request, nonce) },
};
