/** What docs/ops/ hands to an operator names metrics and labels that exist, and files that are well-formed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { type Dimension, labelsOf, type Metric, metrics } from '../../../src/observe/metrics.ts';

const read = (name: string) =>
  readFileSync(new URL(`../../../../docs/ops/${name}`, import.meta.url), 'utf8');
const table: Readonly<Record<string, Metric>> = metrics;

/** A histogram's parts are series, too. */
function metricOf(series: string): Metric | undefined {
  const plain = table[series];
  if (plain) return plain.kind === 'histogram' ? undefined : plain;
  const found = table[series.replace(/_(bucket|sum|count)$/, '')];
  return found?.kind === 'histogram' ? found : undefined;
}

const ours = /\b(?:millrace|websocket|gen_ai_client)_[a-z_]+/g;
const foreign = new Set(['le', 'instance', 'job']);

function check(expression: string): number {
  const names = (expression.match(ours) ?? []).filter((name) => name in table || metricOf(name));
  const written = expression.match(ours) ?? [];
  assert.deepEqual(written, names, `only metrics of the table in ${expression}`);
  const labels = new Set(
    names.flatMap((name) =>
      (metricOf(name)?.labels ?? []).flatMap((each: Dimension) => Object.keys(labelsOf(each, ' '))),
    ),
  );
  for (const name of names) assert.ok(metricOf(name), `${name} is a series`);
  const used = [
    ...[...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list.split(/,\s*/)),
    ...[...expression.matchAll(/([a-z_]+)=~?"/g)].map(([, label]) => label),
  ];
  for (const label of used)
    assert.ok(labels.has(label) || foreign.has(label), `label ${label} in ${expression}`);
  return names.length;
}

test('every alert rule asks for metrics and labels that exist, and says something', () => {
  const { groups } = parse(read('alerts.yml')) as {
    groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length >= 10);
  for (const { alert, expr, annotations } of rules) {
    assert.ok(check(expr) > 0 || alert === 'MillraceDown', alert);
    assert.ok(annotations.summary.length > 10, alert);
  }
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
});

test('every panel of the dashboard asks for metrics and labels that exist', () => {
  const { panels } = JSON.parse(read('grafana.json')) as {
    panels: { title: string; targets: { expr: string; legendFormat: string }[] }[];
  };
  assert.ok(panels.length >= 12);
  for (const { title, targets } of panels) {
    for (const { expr, legendFormat } of targets) {
      assert.ok(check(expr.replaceAll('$__rate_interval', '5m')) > 0, title);
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        assert.ok(expr.includes(label), `${title}: ${label}`);
    }
  }
});

test('a wrong name or label is found', () => {
  assert.throws(() => check('rate(millrace_stream_total[5m])'), /only metrics/);
  assert.throws(() => check('rate(millrace_stream_seconds[5m])'), /is a series|only metrics/);
  assert.throws(() => check('sum by (worker) (millrace_loop_lag_seconds)'), /label worker/);
});
