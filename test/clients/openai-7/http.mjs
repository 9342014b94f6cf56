// @ts-check

import OpenAI from 'openai';
import { run } from '../openai-http-client.mjs';

await run(OpenAI);
