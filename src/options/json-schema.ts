/** The options as JSON Schema, for editors that complete and check a configuration file while it is written. */
import { z } from 'zod';
import { isSecret } from './explain.ts';
import { schema } from './schema.ts';

/** The parts of a node that are changed here. */
interface Node {
  type?: string | readonly string[];
  description?: string;
  properties?: Record<string, Node>;
  additionalProperties?: Node | boolean;
  items?: Node;
  anyOf?: Node[];
}

/** A fresh object each time. */
export function jsonSchema(): object {
  const root = z.toJSONSchema(schema, { io: 'input' }) as Node & { $schema?: string };
  const { $schema, properties = {}, ...rest } = root;
  for (const [key, node] of Object.entries(properties)) describe(node, [key]);
  const own: Node = { type: 'string', description: 'Where an editor finds this schema.' };
  return {
    $schema,
    title: 'Configuration of millrace',
    ...rest,
    properties: { $schema: own, ...properties },
  };
}

function describe(node: Node, path: readonly string[]): void {
  if (isSecret(path) && node.description !== undefined) {
    node.description += ' Secret: may be ${NAME} (environment) or ${file:PATH}.';
  }
  for (const [key, below] of Object.entries(node.properties ?? {})) {
    describe(below, [...path, key]);
  }
  if (typeof node.additionalProperties === 'object') {
    describe(node.additionalProperties, [...path, '*']);
  }
  // Entries of lists are described, and never nothing.
  for (const entry of [node.items, ...(node.items?.anyOf ?? [])]) {
    for (const [key, below] of Object.entries(entry?.properties ?? {})) {
      describe(below, [...path, '[]', key]);
    }
  }
  // A group whose lines are all commented out is nothing in YAML.
  if (node.properties && node.type === 'object') node.type = ['object', 'null'];
}
