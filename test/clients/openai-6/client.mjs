// @ts-check
import OpenAI from 'openai';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { run } from '../responses-client.mjs';

await run({ OpenAI, ResponsesWS });
