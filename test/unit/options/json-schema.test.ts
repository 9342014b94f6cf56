/** Goal: an editor says what millrace says. Method: the schema's judgement beside the resolver's, on each option's limits. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { explain, type OptionRow } from '../../../src/options/explain.ts';
import { jsonSchema } from '../../../src/options/json-schema.ts';
import { accepts, type SchemaNode } from '../../support/json-schema.ts';

const schema = jsonSchema() as SchemaNode;

/** The object that says only this, and what its neighbours require. */
function saying(row: OptionRow, value: unknown): unknown {
  let tree: unknown = value;
  for (const key of row.path.split('.').reverse()) {
    const list = key.endsWith('[]');
    const name = list ? key.slice(0, -2) : key;
    if (!list) tree = { [key === '*' ? 'mine' : key]: tree };
    else tree = { [name]: [{ ...required(row, name), ...(tree as object) }] };
  }
  return tree;
}

/** What an entry of the list must have, apart from the option in question. */
function required(row: OptionRow, list: string): object {
  const at = row.path.indexOf(`${list}[].`);
  const prefix = `${row.path.slice(0, at)}${list}[].`;
  const rows = explain().filter(
    (each) => each.required && each.path.startsWith(prefix) && each !== row,
  );
  return Object.fromEntries(
    rows.map(({ path, expected }) => [
      path.slice(prefix.length),
      expected.includes('http') ? 'http://a' : expected.includes('with /') ? '/a' : 'a',
    ]),
  );
}

test('every option is in the schema with its sentence and default', () => {
  for (const row of explain()) {
    let node: SchemaNode | undefined = schema;
    for (const key of row.path.replaceAll('[]', '.[]').split('.')) {
      const group: SchemaNode | undefined =
        node?.items?.anyOf?.find((each) => each.properties) ?? node?.items;
      if (key === '[]') node = group;
      else if (key === '*') node = node?.additionalProperties as SchemaNode;
      else node = node?.properties?.[key];
    }
    assert.ok(String(node?.description).startsWith(row.sentence), row.path);
    assert.deepEqual(node?.default, row.fallback, row.path);
  }
});

test('numbers and choices are taken at their limits and refused beyond, as the resolver does', () => {
  let tried = 0;
  for (const row of explain().filter(({ path }) => !path.includes('*'))) {
    const { minimum, maximum, kind } = row;
    if (minimum !== undefined && maximum !== undefined) {
      tried++;
      assert.ok(accepts(schema, saying(row, minimum)), row.path);
      assert.ok(accepts(schema, saying(row, maximum)), row.path);
      for (const bad of [minimum - 1, maximum + 1, '1']) {
        assert.ok(!accepts(schema, saying(row, bad)), `${row.path} ${bad}`);
      }
      if (kind === 'integer') assert.ok(!accepts(schema, saying(row, minimum + 0.5)), row.path);
    }
    if (kind === 'choice') {
      tried++;
      for (const choice of row.choices) assert.ok(accepts(schema, saying(row, choice)), row.path);
      assert.ok(!accepts(schema, saying(row, `${row.choices[0]}x`)), row.path);
    }
  }
  assert.ok(tried > 30, String(tried));
});

test('an unknown key is refused in every group, and $schema is taken at the top', () => {
  assert.ok(accepts(schema, { $schema: './x.json' }));
  for (const bad of [{ zebra: 1 }, { server: { zebra: 1 } }, { server: { $schema: 'x' } }]) {
    assert.ok(!accepts(schema, bad), JSON.stringify(bad));
  }
  const upstream = { name: 'a', url: 'http://a' };
  assert.ok(accepts(schema, { upstreams: [upstream] }));
  assert.ok(!accepts(schema, { upstreams: [{ ...upstream, wieght: 1 }] }));
  assert.ok(!accepts(schema, { upstreams: [null] }));
});

test('a group may be nothing, as in a file whose lines are commented out; a value may not', () => {
  assert.ok(accepts(schema, { server: null }));
  assert.ok(!accepts(schema, { server: { port: null } }));
});

test('secrets say that they may stand elsewhere', () => {
  const text = JSON.stringify(schema);
  const secrets = explain().filter(({ secret }) => secret);
  assert.equal(text.split('${file:PATH}').length - 1, secrets.length);
});

test('the package exports the file that the documents hold', () => {
  const root = new URL('../../../../', import.meta.url);
  const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    exports: Record<string, string>;
    files: string[];
  };
  const file = manifest.exports['./config-schema.json'];
  assert.ok(manifest.files.includes(file.slice(2)));
  assert.deepEqual(JSON.parse(readFileSync(new URL(file, root), 'utf8')), jsonSchema());
});
