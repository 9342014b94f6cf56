/** Providers by the name an upstream's configuration gives. To add one: its file, a row here, its name in options/names. */
import type { Provider } from '../provider.ts';
import { anthropic } from './anthropic.ts';
import { ollama } from './ollama.ts';
import { openaiChat } from './openai-chat.ts';
import { openaiResponses } from './openai-responses.ts';

export const providers: Readonly<Record<string, Provider>> = Object.fromEntries(
  [openaiChat, openaiResponses, anthropic, ollama].map((provider) => [provider.name, provider]),
);
