/** OpenAI's Responses API over HTTP, and the servers that speak it (llama-server, Ollama, LiteLLM, vLLM). */
import type { Provider } from '../provider.ts';
import { SseFramer } from '../sse.ts';
import { BackgroundResumption } from './background-resumption.ts';
import { refusal } from './openai-chat-errors.ts';
import { OpenaiResponsesReader } from './openai-responses-reader.ts';
import { encodeResponses } from './openai-responses-request.ts';
import { StreamDecoder } from './stream-decoder.ts';

export const openaiResponses: Provider = {
  name: 'openai-responses',
  encode: encodeResponses,
  decoder: (upstream, sink, bounds) =>
    new StreamDecoder(upstream, sink, bounds, {
      framing: 'events',
      framer: new SseFramer(bounds.eventBytesMax),
      reader: new OpenaiResponsesReader(upstream),
    }),
  refusal,
  resume: { background: (request, _, bytesMax) => new BackgroundResumption(request, bytesMax) },
};
