/** OpenAI's Chat Completions, and the many servers that speak it (llama-server, Ollama, vLLM, LiteLLM, …). */
import type { Provider } from '../provider.ts';
import { OpenaiChatDecoder } from './openai-chat-decoder.ts';
import { refusal } from './openai-chat-errors.ts';
import { encode } from './openai-chat-request.ts';

export const openaiChat: Provider = {
  name: 'openai-chat',
  encode,
  decoder: (upstream, sink, bounds) => new OpenaiChatDecoder(upstream, sink, bounds),
  refusal,
};
