/** engine.route: what it takes, and when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEngine } from '../../../src/engine/engine.ts';

const moduleOf = (name: string) => new URL(`../../support/modules/${name}.js`, import.meta.url);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const options = { server: { port: 0 }, admin: { enabled: false }, threads: { workers: 1 } };

test('a route given in code stands in the options like one of a file', () => {
  const engine = createEngine(options);
  engine.route('/a', moduleOf('route')).route('/b', '/srv/b.mjs');
  assert.deepEqual(engine.options.routes, [
    { path: '/a', module: moduleOf('route').href },
    { path: '/b', module: 'file:///srv/b.mjs' },
  ]);
  assert.ok(Object.isFrozen(engine.options) && Object.isFrozen(engine.options.routes));
});

test('a taken path, a wrong path and a wrong module are refused where they are said', () => {
  const engine = createEngine({ ...options, routes: [{ path: '/own', module: '/srv/a.mjs' }] });
  assert.throws(() => engine.route('/own', '/srv/b.mjs'), { code: 'MILLRACE_PATH_TAKEN' });
  assert.throws(() => engine.route('/chat', '/srv/b.mjs'), { code: 'MILLRACE_OPTION_INVALID' });
  assert.throws(() => engine.route('own', '/srv/b.mjs'), { code: 'MILLRACE_OPTION_INVALID' });
  assert.throws(() => engine.route('/b', './b.mjs'), /must be a file: URL or an absolute path/);
  assert.equal(engine.options.routes.length, 1);
});

test('after the start it is too late', async () => {
  const engine = createEngine(options, { log: quiet });
  await engine.start();
  assert.throws(() => engine.route('/a', moduleOf('route')), { code: 'MILLRACE_STARTED' });
  await engine.close();
});

test('a changed configuration leaves what engine.route added in place', async () => {
  const engine = createEngine(options, { log: quiet });
  engine.route('/a', moduleOf('route'));
  await engine.start();
  const changed = await engine.update({ ...options, server: { port: 0, pingIntervalMs: 20_000 } });
  assert.equal(changed.length, 1);
  assert.equal(engine.options.routes.length, 1);
  await engine.close();
});
