/** One line for the person at the terminal, on standard error. */
export function complain(line: string): void {
  process.stderr.write(`millrace: ${line}\n`);
}
