/** Goal: what init writes is right, as it is and when its lines are used. Method: the real resolver on the text, line by line. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { explain } from '../../../src/options/explain.ts';
import { type Inspection, inspectOptions } from '../../../src/options/resolve.ts';
import { type SampleFormat, sampleConfig } from '../../../src/options/sample.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-sample-'));
after(() => rmSync(folder, { recursive: true }));

const env = { CLIENT_KEY: 'one', ADMIN_TOKEN: 'long-enough' };

function inspect(format: SampleFormat, text: string): Inspection {
  const file = join(folder, `sample.${format}`);
  writeFileSync(file, text);
  return inspectOptions({ file, env });
}

const sample = (format: SampleFormat) => sampleConfig({ format, schema: './s.json' });

for (const format of ['yaml', 'toml', 'json'] as const) {
  test(`the sample in ${format} has no problem and changes no default`, () => {
    const { resolved, problems } = inspect(format, sample(format));
    assert.deepEqual(problems, []);
    assert.deepEqual(resolved?.options, inspectOptions({}).resolved?.options);
  });
}

for (const format of ['yaml', 'toml'] as const) {
  test(`every option stands in ${format} with its sentence`, () => {
    const flat = sample(format).replaceAll(/\n[ #]*# ?/g, ' ');
    for (const { sentence, path } of explain()) assert.ok(flat.includes(sentence), path);
  });

  test(`each commented line of a group in ${format}, used alone, says its option and nothing else`, () => {
    const lines = sample(format).split('\n');
    let used = 0;
    for (const [index, line] of lines.entries()) {
      // Two blanks, or the begin of the line in TOML: an option of a group; deeper ones lie in lists.
      const [, blanks, said] = /^( *)# (\w+(?:: | = ).*)$/.exec(line) ?? [];
      const inList = lines.slice(0, index).findLast((each) => /^(\[|# \[|\w+:|# \w+:$)/.test(each));
      if (said === undefined || inList === undefined || inList.startsWith('# ')) continue;
      const text = lines.with(index, `${blanks}${said}`).join('\n');
      const { problems, resolved } = inspect(format, text);
      // An example may ask for a companion (a certificate for its key): what it must not be is unknown or of the wrong kind.
      const wrong = problems.filter(
        (each) => each.expected !== undefined || / is not an option/.test(each.text),
      );
      assert.deepEqual(wrong, [], said);
      if (resolved) {
        const own = [...resolved.origins].filter(([, origin]) => origin.startsWith('file'));
        assert.equal(own.length, 1, said);
      }
      used++;
    }
    assert.ok(used > 50, String(used));
  });
}

test('a list of upstreams, uncommented as a whole, is a list of upstreams', () => {
  const lines = sample('yaml').split('\n');
  const from = lines.indexOf('# upstreams:');
  assert.ok(from > 0);
  const block = lines.map((line, at) =>
    at >= from && line.startsWith('# ') ? line.slice(2) : line,
  );
  const cut = block.findIndex((line, at) => at > from && line === '');
  const { problems } = inspect('yaml', block.slice(from, cut).join('\n'));
  const serious = problems.filter(({ text }) => !text.includes('environment variable'));
  assert.deepEqual(serious, []);
});
