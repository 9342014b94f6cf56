/** Goal: what would be published is whole: program, library (import and require), page, licences. Method: npm pack, unpacked beside a consumer. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
// Below the repository, so that the dependencies are found; with a package.json of its own, so that it is somebody else.
const consumer = join(root, 'dist/test/consumer');
const installed = join(consumer, 'node_modules/millrace');

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    cwd: consumer,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 2],
  });
}

before(() => {
  rmSync(consumer, { recursive: true, force: true });
  mkdirSync(installed, { recursive: true });
  writeFileSync(join(consumer, 'package.json'), '{"name":"consumer"}');
  const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', consumer];
  const name = execFileSync('npm', pack, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  run('tar', 'xzf', name.trim(), '-C', installed, '--strip-components', '1');
});
after(() => rmSync(consumer, { recursive: true, force: true }));

test('the package holds what it needs, and neither tests nor benches', () => {
  for (const file of ['README.md', 'CHANGELOG.md', 'LICENSE', 'LICENSE-MIT', 'LICENSE-APACHE']) {
    assert.ok(existsSync(join(installed, file)), file);
  }
  assert.ok(existsSync(join(installed, 'dist/src/main/page/index.html')));
  // The addon's sources, for whoever has cargo; what is built from them stays here.
  for (const file of ['native/Cargo.lock', 'native/src/lib.rs', 'scripts/build-native.mjs']) {
    assert.ok(existsSync(join(installed, file)), file);
  }
  assert.ok(!existsSync(join(installed, 'native/build')));
  assert.ok(!existsSync(join(installed, 'native/target')));
  assert.ok(!existsSync(join(installed, 'dist/test')));
  assert.ok(!existsSync(join(installed, 'dist/bench')));
});

test('its program runs', () => {
  const { version, bin } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    version: string;
    bin: { millrace: string };
  };
  assert.equal(run(process.execPath, join(installed, bin.millrace), '--version'), `${version}\n`);
});

test('it can be imported and required', () => {
  const ask = 'console.log(typeof createEngine, new MillraceError("MILLRACE_CLOSED", {}).code)';
  const names = '{ createEngine, MillraceError }';
  const expected = 'function MILLRACE_CLOSED\n';
  const imported = `import ${names} from 'millrace'; ${ask}`;
  assert.equal(run(process.execPath, '--input-type=module', '-e', imported), expected);
  const required = `const ${names} = require('millrace'); ${ask}`;
  assert.equal(run(process.execPath, '--no-warnings', '-e', required), expected);
});

test('millrace/testing can be imported and required, and finds the engine of millrace', () => {
  const body = (load: string) => `
    const { createEngine, connect } = ${load};
    (async () => {
      const engine = createEngine({ admin: { enabled: false }, threads: { workers: 1 }, log: { level: 'silent' } });
      const client = await connect(engine, '/ws');
      client.send('hello');
      console.log(await client.next());
      await engine.close();
    })();`;
  const imported = `import * as all from 'millrace'; import * as testing from 'millrace/testing';${body('{ ...all, ...testing }')}`;
  assert.equal(run(process.execPath, '--input-type=module', '-e', imported), 'hello\n');
  const required = body("{ ...require('millrace'), ...require('millrace/testing') }");
  assert.equal(run(process.execPath, '--no-warnings', '-e', required), 'hello\n');
});

test('no library file waits at its top, which require() could not load', () => {
  const ask = `import 'millrace'; import 'millrace/testing'; console.log('loaded')`;
  assert.equal(run(process.execPath, '--input-type=module', '-e', ask), 'loaded\n');
  const again = `require('millrace/testing'); require('millrace'); console.log('loaded')`;
  assert.equal(run(process.execPath, '--no-warnings', '-e', again), 'loaded\n');
});

test('importing it loads neither servers nor threads: that waits for the start', () => {
  const ask = `
    await import('millrace');
    const { createRequire } = await import('node:module');
    const loaded = Object.keys(createRequire(process.cwd() + '/x.js').cache);
    const heavy = loaded.filter((file) => /node_modules\\/(undici|uWebSockets|uws-|piscina|ws|pino)/.test(file));
    console.log(heavy.join() || 'nothing');`;
  assert.match(run(process.execPath, '--input-type=module', '-e', ask), /^nothing\n$/);
});

test('its types are found', () => {
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    exports: Record<string, { types: string; default: string }>;
  };
  for (const entry of ['.', './testing']) {
    const { types, default: code } = manifest.exports[entry];
    assert.equal(Object.keys(manifest.exports[entry])[0], 'types', 'types come first');
    assert.ok(existsSync(join(installed, types)), types);
    assert.ok(existsSync(join(installed, code)), code);
  }
});
