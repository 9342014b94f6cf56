/** Made-up arguments that fit a tool's JSON Schema, as far as a schema is followed here. */
import { passages } from './corpus.ts';
import type { Draw } from './draw.ts';

const DEPTH_MAX = 6;
const ITEMS_MAX = 3;

type Schema = Readonly<Record<string, unknown>>;

/** JSON text of an object. Type, enum, const, properties, items, minimum and maximum are heeded. */
export function toolArguments(parameters: unknown, draw: Draw): string {
  const value = isSchema(parameters) ? valueFor({ type: 'object', ...parameters }, draw, 0) : {};
  return JSON.stringify(value);
}

function valueFor(schema: unknown, draw: Draw, depth: number): unknown {
  if (!isSchema(schema) || depth > DEPTH_MAX) return words(draw);
  if (schema['const'] !== undefined) return schema['const'];
  if (Array.isArray(schema['enum']) && schema['enum'].length > 0) return draw.pick(schema['enum']);
  const branches = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(branches) && branches.length > 0) return valueFor(branches[0], draw, depth + 1);
  const types = schema['type'];
  switch (Array.isArray(types) ? types[0] : types) {
    case 'object':
      return objectFor(schema, draw, depth);
    case 'array':
      return Array.from({ length: 1 + draw.below(ITEMS_MAX) }, () =>
        valueFor(schema['items'], draw, depth + 1),
      );
    case 'integer':
      return Math.floor(numberFor(schema, draw));
    case 'number':
      return Math.round(numberFor(schema, draw) * 100) / 100;
    case 'boolean':
      return draw.next() < 0.5;
    case 'null':
      return null;
    default:
      return words(draw);
  }
}

function objectFor(schema: Schema, draw: Draw, depth: number): Record<string, unknown> {
  const properties = isSchema(schema['properties']) ? schema['properties'] : {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, one]) => [name, valueFor(one, draw, depth + 1)]),
  );
}

function numberFor(schema: Schema, draw: Draw): number {
  const least = typeof schema['minimum'] === 'number' ? schema['minimum'] : 0;
  const most = typeof schema['maximum'] === 'number' ? schema['maximum'] : least + 100;
  return least + draw.next() * (most - least);
}

function words(draw: Draw): string {
  const all = draw.pick(passages).split(/\s+/);
  const from = draw.below(Math.max(1, all.length - 3));
  return all.slice(from, from + 3).join(' ');
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
