/** The whole engine, with the options of the bench. Its log goes to stderr: stdout belongs to the driver. */
import { createEngine } from '../../../src/engine/engine.ts';
import { createLog } from '../../../src/observe/log.ts';
import type { UserOptions } from '../../../src/options/schema.ts';
import { ready, settings } from './serve.ts';

const options = settings() as UserOptions;
const level = process.env['BENCH_LOG'] === 'debug' ? 'debug' : (options.log?.level ?? 'warn');
const log = createLog({ level, streams: level === 'debug' }, process.stderr);
const engine = createEngine(options, { log });
const { port } = await engine.listen();
ready(port);
