/** The guide's chat (`/chat`): `{"message":"…"}` in, `{"content":"…","done":false}` out. */
import type { Dialect } from '../dialect.ts';
import { ChatConversation } from './chat/conversation.ts';
import { errorFrame } from './chat/error-frame.ts';

export const chat: Dialect = {
  name: 'chat',
  binary: false,
  conversation: (bounds, models) => new ChatConversation(bounds, models),
  complain: errorFrame,
};
