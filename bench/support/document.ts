/**
 * Fills the figures of docs/PERFORMANCE.md from bench/results/: the sections between `<!-- figures -->` and
 * `<!-- /figures -->` is written by this, never by hand.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Result } from './bench.ts';
import type { About } from './machine.ts';
import { median, quantile } from './statistics.ts';
import { figure, goalText } from './table.ts';

export type Kept = Result & About;

const START = '<!-- figures -->';
const END = '<!-- /figures -->';

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function goalRows(result: Kept): string[] {
  return result.goals.map((goal) =>
    row([
      goal.what,
      `${figure(goal.median)} ${goal.unit}`,
      goalText(goal),
      goal.doubt === undefined ? goal.verdict : `${goal.verdict}: ${goal.doubt}`,
    ]),
  );
}

function readingRows(result: Kept): string[] {
  return result.readings.map(({ what, unit, values }) =>
    row([
      what,
      `${figure(median(values))} ${unit}`,
      `${figure(quantile(values, 0))} … ${figure(quantile(values, 1))}`,
    ]),
  );
}

/** One section per bench: where and how it ran, verdicts, figures, notes. */
export function section(result: Kept): string {
  const lines = [
    `### ${result.title}`,
    '',
    `\`${result.command}\` at ${result.commit}, ${result.at.slice(0, 16).replace('T', ' ')} UTC, Node ${result.node}, ${result.machine}, ${result.placed}.`,
    '',
  ];
  if (result.goals.length > 0) {
    const head = [row(['goal', 'median of rounds', 'goal', 'verdict']), '|---|---|---|---|'];
    lines.push(...head, ...goalRows(result), '');
  }
  if (result.readings.length > 0) {
    const head = [row(['figure', 'median', 'lowest … highest round']), '|---|---|---|'];
    lines.push(...head, ...readingRows(result), '');
  }
  if (result.notes.length > 0) lines.push(...result.notes.map((note) => `- ${note}`), '');
  return lines.join('\n');
}

/** The text with the sections of these results replaced or added; those of other benches stay. Throws when the marks are missing. */
export function filled(text: string, results: readonly Kept[]): string {
  const start = text.indexOf(START);
  const end = text.indexOf(END);
  if (start < 0 || end < start) throw new Error(`the document lacks ${START} … ${END}`);
  const sections = new Map<string, string>();
  for (const old of text.slice(start + START.length, end).split(/^(?=### )/m)) {
    const title = /^### (.*)$/m.exec(old)?.[1];
    if (title !== undefined) sections.set(title, `${old.trimEnd()}\n`);
  }
  for (const result of results) sections.set(result.title, section(result));
  const body = [...sections.values()].join('\n');
  return `${text.slice(0, start + START.length)}\n\n${body}\n${text.slice(end)}`;
}

/** Results on disk in the order of `names`; benches that never ran here keep what the document says. */
export function writeDocument(names: readonly string[], results: URL, document: URL): void {
  const files = readdirSync(results);
  const kept = names
    .filter((name) => files.includes(`${name}.json`))
    .map((name) => JSON.parse(readFileSync(new URL(`${name}.json`, results), 'utf8')) as Kept);
  writeFileSync(document, filled(readFileSync(document, 'utf8'), kept));
}
