/** OpenAI's Responses API over a WebSocket (`/v1/responses`), with lanes and, as extensions, cancel and `x_millrace`. */
import type { Dialect } from '../../dialect.ts';
import { ResponsesConversation } from './conversation.ts';
import { errorFrame } from './error-frame.ts';

export const responses: Dialect = {
  name: 'responses',
  binary: false,
  conversation: (bounds, models) => new ResponsesConversation(bounds, models),
  complain: (error) => errorFrame(error),
};
