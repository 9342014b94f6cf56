/** Results as text for a terminal. */
import type { Result } from './bench.ts';
import { median, quantile } from './statistics.ts';
import type { Judged } from './verdict.ts';

/** Three significant figures, thousands with k and M. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e4) return `${Math.round(value / 1e3)} k`;
  if (value >= 1000) return String(Math.round(value));
  return value.toPrecision(3);
}

export function goalText(goal: Judged): string {
  if (goal.sense === 'within') return `${goal.limit} ± ${goal.tolerance ?? 0}`;
  return `${goal.sense === 'at most' ? '≤' : '≥'} ${figure(goal.limit)} ${goal.unit}`;
}

function line(cells: readonly string[], widths: readonly number[]): string {
  return `  ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd();
}

function block(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => line(row, widths)).join('\n');
}

export function table(result: Result): string {
  const readings = result.readings.map(({ what, unit, values }) => [
    what,
    `${figure(median(values))} ${unit}`,
    `(${figure(quantile(values, 0))} … ${figure(quantile(values, 1))})`,
  ]);
  const goals = result.goals.map((goal) => [
    goal.verdict.toUpperCase(),
    goal.what,
    `${figure(goal.median)} ${goal.unit}`,
    `goal ${goalText(goal)}`,
    goal.doubt ?? `(quartiles ${figure(goal.low)} … ${figure(goal.high)})`,
  ]);
  const parts = [`\n${result.title} (${result.name}, ${result.seconds.toFixed(0)} s)`];
  if (readings.length > 0) parts.push(block(readings));
  if (goals.length > 0) parts.push(block(goals));
  parts.push(...result.notes.map((note) => `  · ${note}`));
  return `${parts.join('\n')}\n`;
}
