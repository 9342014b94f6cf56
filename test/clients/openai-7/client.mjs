// @ts-check

import OpenAI from 'openai';
import { ResponsesWebSocketSession } from 'openai/lib/responses/responses-websocket-session';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { run } from '../responses-client.mjs';

const limits = { maxLanes: 8, maxBufferedEvents: 10_000, maxBufferedBytes: 8 * 1024 * 1024 };

await run({
  OpenAI,
  ResponsesWS,
  openLanes: (socket) => new ResponsesWebSocketSession(socket, limits),
});
