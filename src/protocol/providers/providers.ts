/** Providers by the name an upstream's configuration gives. To add one: its file, a row here, its name in options/schema. */
import type { Provider } from '../provider.ts';
import { openaiChat } from './openai-chat.ts';

export const providers: Readonly<Record<string, Provider>> = {
  [openaiChat.name]: openaiChat,
};
