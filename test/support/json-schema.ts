/** A judge of values by the part of JSON Schema (2020-12) that the configuration's schema uses. Unknown words are refused, so that none is ignored. */

export interface SchemaNode {
  readonly [word: string]: unknown;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly propertyNames?: SchemaNode;
}

const known = new Set([
  ...['$schema', 'title', 'description', 'default', 'format'],
  ...['type', 'properties', 'additionalProperties', 'propertyNames', 'required', 'items', 'anyOf'],
  ...[
    'enum',
    'const',
    'minimum',
    'maximum',
    'minLength',
    'maxLength',
    'minItems',
    'maxItems',
    'pattern',
  ],
]);

function typeOf(value: unknown): string[] {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  if (typeof value === 'number')
    return Number.isInteger(value) ? ['integer', 'number'] : ['number'];
  return [typeof value];
}

/** Whether the value keeps the schema. */
export function accepts(node: SchemaNode, value: unknown): boolean {
  for (const word of Object.keys(node)) {
    if (!known.has(word)) throw new Error(`the judge does not know the word ${word}`);
  }
  const types = node.type === undefined ? [] : [node.type].flat();
  if (types.length > 0 && !typeOf(value).some((type) => types.includes(type))) return false;
  if (node.enum && !(node.enum as unknown[]).includes(value)) return false;
  if ('const' in node && node.const !== value) return false;
  if (node.anyOf && !node.anyOf.some((each) => accepts(each, value))) return false;
  if (typeof value === 'number') {
    if (value < Number(node.minimum ?? -Infinity) || value > Number(node.maximum ?? Infinity))
      return false;
  }
  if (typeof value === 'string') {
    if (node.pattern !== undefined && !new RegExp(node.pattern, 'u').test(value)) return false;
    if (value.length < Number(node.minLength ?? 0)) return false;
    if (value.length > Number(node.maxLength ?? Infinity)) return false;
  }
  if (Array.isArray(value)) return acceptsList(node, value);
  return typeof value !== 'object' || value === null || acceptsObject(node, value);
}

function acceptsList(node: SchemaNode, value: readonly unknown[]): boolean {
  if (value.length < Number(node.minItems ?? 0)) return false;
  if (value.length > Number(node.maxItems ?? Infinity)) return false;
  return value.every((each) => node.items === undefined || accepts(node.items, each));
}

function acceptsObject(node: SchemaNode, value: object): boolean {
  const required = (node.required ?? []) as readonly string[];
  if (required.some((key) => !Object.hasOwn(value, key))) return false;
  return Object.entries(value).every(([key, below]) => {
    const own = node.properties?.[key];
    if (own) return accepts(own, below);
    if (node.propertyNames && !accepts(node.propertyNames, key)) return false;
    const rest = node.additionalProperties ?? true;
    return typeof rest === 'boolean' ? rest : accepts(rest, below);
  });
}
