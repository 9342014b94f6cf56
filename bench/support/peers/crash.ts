/** The engine with a route that kills its worker. Says when main noticed, read from its log, on the clock that all processes share. */
import { createEngine } from '../../../src/engine/engine.ts';
import { createLog } from '../../../src/observe/log.ts';
import type { UserOptions } from '../../../src/options/schema.ts';
import { ready, say, settings } from './serve.ts';

const write = (line: string): void => {
  if (line.includes('"worker-lost"')) say({ lostNs: String(process.hrtime.bigint()) });
};
const route = new URL('./crash-route.js', import.meta.url);
const engine = createEngine(
  { ...(settings() as UserOptions), routes: [{ path: '/crash', module: route }] },
  { log: createLog({ level: 'error' }, { write }) },
);
const { port } = await engine.listen();
ready(port);
