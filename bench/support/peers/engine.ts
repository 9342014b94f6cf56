/** The whole engine, with the options of the bench. */
import { createEngine } from '../../../src/engine.ts';
import type { UserOptions } from '../../../src/options/schema.ts';
import { ready, settings } from './serve.ts';

const engine = createEngine(settings() as UserOptions);
const { port } = await engine.listen();
ready(port);
