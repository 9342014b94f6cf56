/** One thing that doctor looked at. */
export interface Check {
  readonly name: string;
  /** ok; warn: it runs, with a loss; fail: it would not run. */
  readonly status: 'ok' | 'warn' | 'fail';
  /** What was found. */
  readonly text: string;
  /** What to do about it; there is none for what is ok. */
  readonly remedy?: string;
}

const colours = { ok: 32, warn: 33, fail: 31 } as const;

/** As lines for a terminal, remedies below. */
export function listChecks(checks: readonly Check[], colour: boolean): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, status, text, remedy }) => {
    const word = status.padEnd(4);
    const mark = colour ? `\u001b[${colours[status]}m${word}\u001b[0m` : word;
    const indent = ' '.repeat(width + 7);
    const more = remedy === undefined ? [] : [`${indent}→ ${remedy}`];
    const [first, ...rest] = text.split('\n');
    return [
      `${mark} ${name.padEnd(width)}  ${first}`,
      ...rest.map((each) => indent + each),
      ...more,
    ];
  });
  return `${lines.join('\n')}\n`;
}

/** Colour is for people: on a terminal that can show it, unless https://no-color.org says otherwise. */
export function wantsColour(
  isTerminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTerminal && !env.NO_COLOR && env.TERM !== 'dumb';
}
