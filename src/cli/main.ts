#!/usr/bin/env node
/** The program: see run.ts. */
import { run } from './run.ts';

process.exitCode = await run(process.argv.slice(2));
