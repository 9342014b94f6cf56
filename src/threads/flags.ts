/** Node's own flags as threads may inherit them. */

/**
 * Usually nothing is said and threads inherit all of them. `--input-type` describes a program given as text: a thread runs a file and
 * refuses to start with it. Only then the flags are listed, and of them those alone that a thread may be given one by one:
 * V8's and the process's own (--max-old-space-size, --expose-gc, --title …) hold for all threads anyway, and listing one is an error.
 */
export function threadFlags(flags: readonly string[] = process.execArgv): { execArgv?: string[] } {
  if (!flags.some((flag) => flag.startsWith('--input-type'))) return {};
  return { execArgv: flags.filter((flag) => ofThreads.test(flag)) };
}

const ofThreads =
  /^--(?:(?:import|require|loader|experimental-loader|conditions)=.+|enable-source-maps|no-warnings|no-deprecation|trace-(?:exit|warnings|uncaught|deprecation))$/;
