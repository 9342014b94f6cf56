/** Node's own flags as threads may inherit them. */

/** `--input-type` describes a program given as text; a thread runs a file and refuses to start with it. */
export function threadFlags(flags: readonly string[] = process.execArgv): string[] {
  return flags.filter(
    (flag, at) => !flag.startsWith('--input-type') && flags[at - 1] !== '--input-type',
  );
}
