import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pause } from '../../../src/memory/pause.ts';

test('a pause lasts at least what was asked, and costs next to no CPU', () => {
  const cpu = process.cpuUsage();
  const from = performance.now();
  for (let n = 0; n < 100; n += 1) pause(0.5);
  const tookMs = performance.now() - from;
  const { user, system } = process.cpuUsage(cpu);
  assert.ok(tookMs >= 45, `100 pauses of 0.5 ms took ${tookMs} ms`);
  const busyMs = (user + system) / 1000;
  assert.ok(busyMs < tookMs / 2, `${busyMs} ms of CPU in ${tookMs} ms`);
});

test('a pause of nothing returns', () => {
  const from = performance.now();
  pause(0);
  assert.ok(performance.now() - from < 1_000);
});
