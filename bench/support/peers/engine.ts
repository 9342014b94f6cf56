/** The whole engine, with the options of the bench. */
import type { UserOptions } from '../../../src/options/schema.ts';
import { ready, settings } from './serve.ts';

interface EngineModule {
  createEngine: (options: UserOptions) => { listen(): Promise<{ port: number }> };
}

const url = new URL('../../../src/engine.js', import.meta.url);
const { createEngine } = (await import(url.href)) as EngineModule;
const { port } = await createEngine(settings() as UserOptions).listen();
ready(port);
