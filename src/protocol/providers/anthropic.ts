/** Anthropic's Messages API, and the servers that speak it. */
import type { Provider } from '../provider.ts';
import { SseFramer } from '../sse.ts';
import { AnthropicReader } from './anthropic-reader.ts';
import { encodeMessages } from './anthropic-request.ts';
import { refusal } from './openai-chat-errors.ts';
import { StreamDecoder } from './stream-decoder.ts';

export const anthropic: Provider = {
  name: 'anthropic',
  encode: encodeMessages,
  decoder: (upstream, sink, bounds) =>
    new StreamDecoder(upstream, sink, bounds, {
      framing: 'events',
      framer: new SseFramer(bounds.eventBytesMax),
      reader: new AnthropicReader(upstream),
    }),
  refusal,
};
