/** Ollama's own chat API: newline-delimited JSON. */
import { NdjsonFramer } from '../ndjson.ts';
import type { Provider } from '../provider.ts';
import { OllamaReader } from './ollama-reader.ts';
import { encodeOllama } from './ollama-request.ts';
import { refusal } from './openai-chat-errors.ts';
import { StreamDecoder } from './stream-decoder.ts';

export const ollama: Provider = {
  name: 'ollama',
  encode: encodeOllama,
  decoder: (upstream, sink, bounds) =>
    new StreamDecoder(upstream, sink, bounds, {
      framing: 'lines',
      framer: new NdjsonFramer(bounds.eventBytesMax),
      reader: new OllamaReader(upstream),
    }),
  refusal,
};
