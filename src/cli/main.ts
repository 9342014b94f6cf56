#!/usr/bin/env node
/** The program: see run.ts. */
import { version } from './version.ts';

const args = process.argv.slice(2);
// Asked by scripts, again and again: nothing else is loaded for it.
if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  process.stdout.write(`${version()}\n`);
} else {
  const { run } = await import('./run.ts');
  process.exitCode = await run(args);
}
