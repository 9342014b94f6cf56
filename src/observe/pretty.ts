/** Log lines for people at a terminal: time, level, sentence, then the facts in grey. The JSON stays what is written elsewhere. */
import type { DestinationStream } from 'pino';

const colours: Readonly<Record<string, number>> = { error: 31, warn: 33, info: 32, debug: 90 };
/** Said by the line itself, or the same in every line. */
const said: ReadonlySet<string> = new Set(['level', 'time', 'msg', 'name', 'event', 'stack']);

export function prettyStream(out: DestinationStream): DestinationStream {
  return { write: (line) => out.write(prettyLine(line)) };
}

/** A line that is no JSON object stays as it is. */
export function prettyLine(line: string): string {
  let facts: Record<string, unknown>;
  try {
    facts = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const level = String(facts['level']);
  const time = String(facts['time']).slice(11, 23);
  const rest = Object.entries(facts).filter(([name]) => !said.has(name));
  const words = rest.map(([name, value]) => `${name}=${textOf(value)}`).join(' ');
  const head = `${grey(time)} ${colour(level.padEnd(5), colours[level] ?? 0)} ${visible(String(facts['msg']))}`;
  const stack = typeof facts['stack'] === 'string' ? `\n${stackOf(facts['stack'])}` : '';
  return `${head}${words === '' ? '' : ` ${grey(words)}`}${stack}\n`;
}

function stackOf(stack: string): string {
  return stack.split('\n').map(visible).join('\n');
}

function textOf(value: unknown): string {
  return visible(typeof value === 'string' ? value : JSON.stringify(value));
}

/** A terminal obeys control characters, and clients can write them. */
function visible(text: string): string {
  return text.replaceAll(controls, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

// oxlint-disable-next-line no-control-regex -- they are what is looked for
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

const colour = (text: string, code: number) => `\u001b[${code}m${text}\u001b[0m`;
const grey = (text: string) => colour(text, 90);
