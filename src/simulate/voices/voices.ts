/** Everything the simulated upstream speaks. */
import { chat } from './chat.ts';
import { messages } from './messages.ts';
import { ollama } from './ollama.ts';
import { responses } from './responses.ts';
import type { Voice } from './voice.ts';

export const voices: readonly Voice[] = [chat, responses, messages, ollama];
