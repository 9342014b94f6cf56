/**
 * Wishes in a prompt, each on a line of its own: how a person at a page, or a test behind a gateway, steers what the simulated
 * upstream does. The lines stay in the prompt; nothing else reads them.
 *
 *   @tool NAME [JSON]     answer with a call of this tool (again for a second call)
 *   @echo TEXT            answer exactly this; \n and \uXXXX as in JSON
 *   @tokens N             answer with N tokens
 *   @reason               think first
 *   @refuse               refuse, as models do
 *   @finish REASON        end with this finish reason
 *   @fault …              see faults.ts
 */
import { MillraceError } from '../errors.ts';
import { type Faults, mergeFaults, parseFaults } from './faults.ts';

export interface Directives {
  readonly tools: readonly { readonly name: string; readonly arguments?: string }[];
  readonly echo?: string;
  readonly tokens?: number;
  readonly reason: boolean;
  readonly refuse: boolean;
  readonly finish?: string;
  readonly faults?: Faults;
}

/** Longest answer that may be wished for. */
export const TOKENS_MAX = 100_000;

const LINE = /^@(\w+)(?:[ \t]+(.*?))?[ \t]*$/gm;

/** Reads the directives of a prompt for the server `name`. Throws MILLRACE_FIELD_INVALID for a value that makes no sense. */
export function directivesIn(prompt: string, name: string): Directives {
  const found: { -readonly [K in keyof Directives]: Directives[K] } & {
    tools: { name: string; arguments?: string }[];
  } = { tools: [], reason: false, refuse: false };
  for (const [, word, rest = ''] of prompt.replaceAll('\r', '').matchAll(LINE)) {
    if (word === 'tool') found.tools.push(toolOf(rest));
    else if (word === 'echo') found.echo = unescaped(rest);
    else if (word === 'tokens') found.tokens = tokensOf(rest);
    else if (word === 'reason') found.reason = true;
    else if (word === 'refuse') found.refuse = true;
    else if (word === 'finish') found.finish = rest;
    else if (word === 'fault') found.faults = mergeFaults(name, found.faults, parseFaults(rest));
    // Any other @word is somebody's handle.
  }
  return found;
}

function toolOf(rest: string): { name: string; arguments?: string } {
  const blank = rest.search(/[ \t]/);
  if (blank < 0) return { name: rest };
  return { name: rest.slice(0, blank), arguments: rest.slice(blank + 1).trim() };
}

function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  try {
    // Bare quotes may stand in the text; in JSON they may not.
    const body = text.replace(/\\.|"/g, (found) => (found === '"' ? '\\"' : found));
    return JSON.parse(`"${body}"`) as string;
  } catch {
    return text;
  }
}

function tokensOf(rest: string): number {
  const tokens = Number(rest);
  if (Number.isInteger(tokens) && tokens >= 0 && tokens <= TOKENS_MAX && rest !== '') return tokens;
  throw new MillraceError('MILLRACE_FIELD_INVALID', {
    path: '@tokens',
    expected: `a whole number up to ${TOKENS_MAX}`,
    got: rest.slice(0, 100) || 'nothing',
  });
}
